//! The transport: one synchronous socket per namespace, born inside it.
//!
//! Requests are collected in a [`Batch`] and sent many at a time. Only the last of each send asks
//! for an acknowledgement; the kernel reports every failure on its own, so nothing is lost and
//! the answers stay few. Failures always carry the kernel's extended-acknowledgement text. Dumps
//! that the kernel marks as interrupted (`NLM_F_DUMP_INTR`) are read again.

mod wire;

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Error, Result, check};
pub(crate) use wire::{Attribute, Attributes, HEADER, Mark, Message, Messages, Writer, u16_at, u32_at, u64_at};

/// How many bytes go into one send at most.
const MAX_SEND: usize = 32 * 1024;
/// How many messages go into one send at most: all of them may answer with an error, and the
/// answers must fit the receive buffer. A kernel without preemption gives its processor to nobody else meanwhile:
/// 16 veths take it 5 ms.
const MAX_MESSAGES: usize = 16;
const BEGIN_BATCH: &str = "begin an nft batch";
/// What fits the send buffer every socket starts with.
const SMALL: usize = 100 * 1024;
const RECEIVE: usize = 64 * 1024;
const DUMP_ATTEMPTS: usize = 20;

const NLMSGERR_ATTR_MSG: u16 = 1;
const SOL_NETLINK: libc::c_int = 270;
const NETLINK_ADD_MEMBERSHIP: libc::c_int = 1;
const NETLINK_CAP_ACK: libc::c_int = 10;
const NETLINK_EXT_ACK: libc::c_int = 11;
const NETLINK_GET_STRICT_CHK: libc::c_int = 12;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; RECEIVE]);
}

/// The netlink family a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Family {
    /// Links, addresses, routes, rules, neighbours, qdiscs.
    Route = libc::NETLINK_ROUTE,
    /// nftables.
    Netfilter = libc::NETLINK_NETFILTER,
    /// Families with names of their own.
    Generic = libc::NETLINK_GENERIC,
}

/// A synchronous netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    seq: u32,
}

/// One request of a batch that the kernel refused.
#[derive(Debug)]
pub struct Failure {
    /// Its position in the batch.
    pub index: usize,
    /// Why.
    pub error: Error,
}

#[derive(Debug)]
struct Item {
    start: usize,
    doing: String,
}

/// Requests that go out together, in order. A failing request does not stop the later ones.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) writer: Writer,
    items: Vec<Item>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// How many requests it holds.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Starts a request; `doing` is what an error will say.
    pub(crate) fn begin(&mut self, kind: u16, flags: u16, doing: String) -> Mark {
        let mark = self.writer.begin(kind, flags | libc::NLM_F_REQUEST as u16);
        self.items.push(Item { start: mark.offset(), doing });
        mark
    }

    pub(crate) fn end(&mut self, message: Mark) {
        self.writer.end(message);
    }
}

impl Socket {
    /// Opens a socket in the calling thread's namespace.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` when the kernel lacks the family.
    pub fn open(family: Family) -> Result<Socket> {
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, flags, family as i32) };
        check(fd, || format!("open a netlink socket ({family:?})"))?;
        // SAFETY: the descriptor was just returned and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let socket = Socket { fd, seq: 0 };
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK] {
            socket.set_option(option, 1)?;
        }
        // Absent before Linux 4.20: dumps are then filtered by us alone, which we do anyway.
        let _ = socket.set_option(NETLINK_GET_STRICT_CHK, 1);
        Ok(socket)
    }

    /// Binds the socket and joins multicast groups. Once per socket.
    ///
    /// # Errors
    /// `EPERM`, or `EINVAL` for an unknown group.
    pub fn listen(&self, groups: impl IntoIterator<Item = u32>) -> Result<()> {
        // Multicast skips sockets whose port is the sender's, and the kernel's own port is zero:
        // an unbound socket would hear nothing.
        let mut address = [0_u8; size_of::<libc::sockaddr_nl>()];
        address[..2].copy_from_slice(&(libc::AF_NETLINK as u16).to_ne_bytes());
        // SAFETY: the address is a zeroed sockaddr_nl but for its family, and outlives the call.
        let result = unsafe {
            let length = address.len() as libc::socklen_t;
            libc::bind(self.fd.as_raw_fd(), address.as_ptr().cast(), length)
        };
        check(result, || "bind a netlink socket".into())?;
        for group in groups {
            self.set_option(NETLINK_ADD_MEMBERSHIP, group as i32)?;
        }
        Ok(())
    }

    fn set_option(&self, option: libc::c_int, value: libc::c_int) -> Result<()> {
        // SAFETY: `value` outlives the call and its size is given.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                SOL_NETLINK,
                option,
                (&raw const value).cast(),
                size_of_val(&value) as libc::socklen_t,
            )
        };
        check(result, || format!("set netlink option {option}")).map(drop)
    }

    /// Sends a netfilter batch that the kernel carries out wholly or not at all
    /// (`NFNL_MSG_BATCH_BEGIN` … `NFNL_MSG_BATCH_END`, include/uapi/linux/netfilter/nfnetlink.h).
    pub(crate) fn commit_atomic(&mut self, batch: Batch) -> Result<()> {
        const BEGIN: u16 = 16;
        const END: u16 = 17;
        // struct nfgenmsg: family, version, resource id (the subsystem nftables, big-endian).
        const SUBSYSTEM: [u8; 4] = [0, 0, 0, 10];
        if batch.is_empty() {
            return Ok(());
        }
        let mut framed = Batch::new();
        let mark = framed.begin(BEGIN, 0, BEGIN_BATCH.into());
        framed.writer.raw(&SUBSYSTEM);
        framed.end(mark);
        let shift = framed.writer.buf.len();
        framed.writer.buf.extend_from_slice(&batch.writer.buf);
        framed.items.extend(batch.items.into_iter().map(|item| Item { start: item.start + shift, ..item }));
        let last = framed.items.len() - 1;
        let mark = framed.begin(END, 0, String::new());
        framed.writer.raw(&SUBSYSTEM);
        framed.end(mark);

        let base = self.seq.wrapping_add(1);
        let buf = &mut framed.writer.buf;
        for (seq, item) in (base..).zip(&framed.items) {
            buf[item.start + 8..item.start + 12].copy_from_slice(&seq.to_ne_bytes());
        }
        buf[framed.items[last].start + 6] |= libc::NLM_F_ACK as u8;
        self.seq = base + framed.items.len() as u32 - 1;
        if buf.len() > SMALL {
            // One batch is one datagram.
            let size = i32::try_from(buf.len() * 2).unwrap_or(i32::MAX);
            self.set_send_buffer(size)?;
        }
        self.send(&framed.writer.buf)?;
        let mut failures = Vec::new();
        self.acknowledged(base, &framed.items[..=last], 0, &mut failures)?;
        match failures.into_iter().next() {
            None => Ok(()),
            Some(failure) => Err(failure.error),
        }
    }

    fn set_send_buffer(&self, size: libc::c_int) -> Result<()> {
        let set = |option| {
            // SAFETY: `size` outlives the call and its length is given.
            unsafe {
                let len = size_of_val(&size) as libc::socklen_t;
                libc::setsockopt(self.fd.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const size).cast(), len)
            }
        };
        if set(libc::SO_SNDBUFFORCE) == 0 {
            return Ok(());
        }
        check(set(libc::SO_SNDBUF), || "enlarge a netlink send buffer".into()).map(drop)
    }

    /// Sends a batch and reports the first failure.
    ///
    /// # Errors
    /// The first request the kernel refused; the ones after it were still carried out.
    pub fn commit(&mut self, batch: Batch) -> Result<()> {
        match self.commit_all(batch)?.into_iter().next() {
            None => Ok(()),
            Some(failure) => Err(failure.error),
        }
    }

    /// Sends a batch and reports every failure, in order.
    ///
    /// # Errors
    /// Only when the socket itself fails.
    pub fn commit_all(&mut self, batch: Batch) -> Result<Vec<Failure>> {
        let Batch { mut writer, items } = batch;
        let mut failures = Vec::new();
        let mut first = 0;
        while first < items.len() {
            let start = items[first].start;
            let mut last = first;
            let end_of = |index: usize| items.get(index + 1).map_or(writer.buf.len(), |item| item.start);
            let mut end = end_of(last);
            while last + 1 < items.len() && last + 1 - first < MAX_MESSAGES && end_of(last + 1) - start <= MAX_SEND {
                last += 1;
                end = end_of(last);
            }
            let base = self.seq.wrapping_add(1);
            for (seq, item) in (base..).zip(&items[first..=last]) {
                writer.buf[item.start + 8..item.start + 12].copy_from_slice(&seq.to_ne_bytes());
            }
            let flags = items[last].start + 6;
            writer.buf[flags] |= libc::NLM_F_ACK as u8;
            self.seq = base + (last - first) as u32;
            self.send(&writer.buf[start..end])?;
            self.acknowledged(base, &items[first..=last], first, &mut failures)?;
            first = last + 1;
        }
        Ok(failures)
    }

    /// Reads answers until the last request of a send is acknowledged, or the first is refused where that
    /// means that the others were not looked at (the begin of an nft batch).
    fn acknowledged(&self, base: u32, items: &[Item], first: usize, failures: &mut Vec<Failure>) -> Result<()> {
        let last = base + (items.len() - 1) as u32;
        loop {
            let done = self.receive(|bytes| {
                let mut done = false;
                for message in Messages(bytes) {
                    if i32::from(message.kind) != libc::NLMSG_ERROR || message.seq < base || message.seq > last {
                        continue;
                    }
                    done |= message.seq == last;
                    let index = (message.seq - base) as usize;
                    done |= is_batch_begin(&message) && items[0].doing == BEGIN_BATCH;
                    if let Err(error) = answer(&message, &items[index].doing) {
                        failures.push(Failure { index: first + index, error });
                    }
                }
                done
            })?;
            if done {
                return Ok(());
            }
        }
    }

    /// Sends the one request in `batch` and returns what `parse` makes of the single answer.
    pub(crate) fn get<T>(&mut self, batch: Batch, mut parse: impl FnMut(&Message<'_>) -> Option<T>) -> Result<T> {
        let doing = self.send_one(batch, 0)?;
        let mut found = None;
        loop {
            let seq = self.seq;
            let done = self.receive(|bytes| {
                let Some(message) = Messages(bytes).find(|message| message.seq == seq) else {
                    return Ok(false);
                };
                if i32::from(message.kind) == libc::NLMSG_ERROR {
                    answer(&message, &doing)?;
                } else {
                    found = parse(&message);
                }
                Ok(true)
            })?;
            if done? {
                return found.ok_or(Error::Malformed { doing, what: "an unexpected kind of message" });
            }
        }
    }

    /// Runs the dump request in `request` and collects what `parse` makes of every message.
    /// A dump that the kernel calls inconsistent is repeated.
    pub(crate) fn dump<T>(
        &mut self,
        request: impl Fn() -> Batch,
        mut parse: impl FnMut(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut doing = String::new();
        for _ in 0..DUMP_ATTEMPTS {
            doing = self.send_one(request(), libc::NLM_F_DUMP as u16)?;
            let mut found = Vec::new();
            let mut interrupted = false;
            loop {
                let seq = self.seq;
                let done: Result<bool> = self.receive(|bytes| {
                    for message in Messages(bytes).filter(|message| message.seq == seq) {
                        interrupted |= i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0;
                        match i32::from(message.kind) {
                            libc::NLMSG_DONE => {
                                done_status(&message, &doing)?;
                                return Ok(true);
                            }
                            libc::NLMSG_ERROR => {
                                answer(&message, &doing)?;
                                return Ok(true);
                            }
                            _ => found.extend(parse(&message)),
                        }
                    }
                    Ok(false)
                })?;
                match done {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) if error.errno() == Some(libc::EINTR) => {
                        interrupted = true;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            if !interrupted {
                return Ok(found);
            }
        }
        Err(Error::os(
            format!("{doing}: the kernel's tables changed during each of {DUMP_ATTEMPTS} attempts"),
            std::io::ErrorKind::Interrupted,
        ))
    }

    fn send_one(&mut self, batch: Batch, flags: u16) -> Result<String> {
        let Batch { mut writer, items } = batch;
        self.seq = self.seq.wrapping_add(1);
        let set = u16_at(&writer.buf, 6).unwrap_or_default() | flags;
        writer.buf[6..8].copy_from_slice(&set.to_ne_bytes());
        writer.buf[8..12].copy_from_slice(&self.seq.to_ne_bytes());
        self.send(&writer.buf)?;
        Ok(items.into_iter().next().map(|item| item.doing).unwrap_or_default())
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        loop {
            // SAFETY: the buffer is valid for its length during the call.
            let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
            if sent >= 0 {
                return Ok(());
            }
            let error = std::io::Error::last_os_error();
            if error.kind() != std::io::ErrorKind::Interrupted {
                return Err(Error::os("send a netlink request", error));
            }
        }
    }

    /// Receives one datagram and lets `read` look at it.
    pub(crate) fn receive<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.receive_flags(0, read)
    }

    pub(crate) fn receive_flags<T>(&self, flags: libc::c_int, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        BUFFER.with_borrow_mut(|buffer| {
            loop {
                // SAFETY: the buffer is valid for its length during the call. MSG_TRUNC makes the
                // kernel return the full length, which is compared with the buffer below.
                let len = unsafe {
                    libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_TRUNC | flags)
                };
                if len >= 0 {
                    let bytes = buffer.get(..len as usize).ok_or(Error::Malformed {
                        doing: "receive a netlink answer".into(),
                        what: "larger than the receive buffer",
                    })?;
                    return Ok(read(bytes));
                }
                let error = std::io::Error::last_os_error();
                if error.kind() != std::io::ErrorKind::Interrupted {
                    return Err(Error::os("receive a netlink answer", error));
                }
            }
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// For the fuzzer: a message as each of the kernel's own answers.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(message: &Message<'_>) {
    let _ = (answer(message, ""), done_status(message, ""), is_batch_begin(message));
}

/// Reads an `NLMSG_ERROR` message: zero is an acknowledgement.
fn answer(message: &Message<'_>, doing: &str) -> Result<()> {
    let code = u32_at(message.payload, 0).unwrap_or_default() as i32;
    if code == 0 {
        return Ok(());
    }
    // The refused request's header follows the code; its payload only without NLM_F_CAPPED.
    let mut skip = 4 + HEADER;
    if i32::from(message.flags) & libc::NLM_F_CAPPED == 0 {
        let len = u32_at(message.payload, 4).unwrap_or_default() as usize;
        skip = 4 + wire::align(len.max(HEADER));
    }
    Err(Error::Kernel {
        doing: doing.to_owned(),
        errno: code.wrapping_neg(),
        text: extended_text(message.payload.get(skip..)),
    })
}

/// Reads an `NLMSG_DONE` message, which carries the dump's own status.
fn done_status(message: &Message<'_>, doing: &str) -> Result<()> {
    let code = u32_at(message.payload, 0).unwrap_or_default() as i32;
    if code >= 0 {
        return Ok(());
    }
    Err(Error::Kernel {
        doing: doing.to_owned(),
        errno: code.wrapping_neg(),
        text: extended_text(message.payload.get(4..)),
    })
}

fn extended_text(attributes: Option<&[u8]>) -> Option<String> {
    Attributes(attributes?).find(|attribute| attribute.kind == NLMSGERR_ATTR_MSG).map(|attribute| attribute.str())
}

/// The refused message was `NFNL_MSG_BATCH_BEGIN`.
fn is_batch_begin(message: &Message<'_>) -> bool {
    // The error code, then the header of the refused message: length, type.
    u16_at(message.payload, 8) == Some(16)
}
