//! Users and groups of the host, by name (passwd(5), group(5)).

use std::os::unix::fs::MetadataExt;

use crate::error::{Error, Result};

/// A user as a program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) name: String,
    pub(crate) home: String,
}

/// User of the calling process.
pub(crate) fn own_uid() -> u32 {
    std::fs::metadata("/proc/self").map_or(0, |meta| meta.uid())
}

/// User of the calling process as the world outside its user namespace knows it (`/proc/self/uid_map`).
pub(crate) fn outer_uid() -> u32 {
    let own = own_uid();
    let map = read("/proc/self/uid_map");
    let outer = map.lines().find_map(|line| {
        let mut fields = line.split_whitespace().filter_map(|field| field.parse::<u32>().ok());
        let (inside, outside, count) = (fields.next()?, fields.next()?, fields.next()?);
        (own >= inside && own - inside < count).then(|| outside + (own - inside))
    });
    outer.unwrap_or(own)
}

/// A user by name or number. Empty: root.
pub(crate) fn user(name: &str) -> Result<User> {
    user_in(name, &read("/etc/passwd"), &read("/etc/group"))
}

/// `USER` or `USER:GROUP` as numbers. Without a group, the user's own.
pub(crate) fn owner(text: &str) -> Result<(u32, u32)> {
    let (name, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let user = user(name)?;
    let gid = match group {
        None | Some("") => user.gid,
        Some(group) => group_in(group, &read("/etc/group"))?,
    };
    Ok((user.uid, gid))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn user_in(name: &str, passwd: &str, group: &str) -> Result<User> {
    if name.is_empty() || name == "root" {
        return Ok(User { name: "root".into(), home: "/root".into(), ..User::default() });
    }
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [found, _, uid, gid, _, home, ..] = fields.as_slice() else {
            continue;
        };
        if *found != name && *uid != name {
            continue;
        }
        let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else {
            continue;
        };
        let mut groups = vec![gid];
        for line in group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, number, members] = fields.as_slice() else {
                continue;
            };
            if members.split(',').any(|member| member == *found)
                && let Ok(number) = number.parse()
                && !groups.contains(&number)
            {
                groups.push(number);
            }
        }
        return Ok(User { uid, gid, groups, name: (*found).into(), home: (*home).into() });
    }
    name.parse()
        .map(|uid| User { uid, gid: uid, groups: vec![uid], name: name.into(), home: "/".into() })
        .map_err(|_| Error::Refused(format!("this host has no user {name:?}; users are those of /etc/passwd")))
}

fn group_in(name: &str, group: &str) -> Result<u32> {
    for line in group.lines() {
        let mut fields = line.split(':');
        if fields.next() == Some(name)
            && let Some(Ok(gid)) = fields.nth(1).map(str::parse)
        {
            return Ok(gid);
        }
    }
    name.parse().map_err(|_| Error::Refused(format!("this host has no group {name:?}; groups are those of /etc/group")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nfrr:x:102:105::/nonexistent:/usr/sbin/nologin\n";
    const GROUP: &str = "root:x:0:\nfrrvty:x:104:frr,other\nfrr:x:105:\n";

    #[test]
    fn names_and_numbers() {
        let frr = user_in("frr", PASSWD, GROUP).unwrap();
        assert_eq!((frr.uid, frr.gid, frr.groups.as_slice()), (102, 105, [105, 104].as_slice()));
        assert_eq!(user_in("", PASSWD, GROUP).unwrap().uid, 0);
        assert_eq!(user_in("1234", PASSWD, GROUP).unwrap().gid, 1234);
        assert!(user_in("nobody-here", PASSWD, GROUP).unwrap_err().to_string().contains("nobody-here"));
        assert_eq!(group_in("frrvty", GROUP).unwrap(), 104);
        assert!(group_in("x", GROUP).is_err());
    }
}
