use std::time::Duration;

use serde_json::json;

use super::*;
use crate::codec::Dialect;

const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";

fn schema() -> Schema {
    Schema::from_json(&json!({"name": "D", "tables": {"T": {"columns": {
        "name": {"type": "string"},
        "maybe": {"type": {"key": "integer", "min": 0}},
        "many": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
        "map": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
    }}}}))
    .unwrap()
}

fn shape() -> Shape {
    let columns = ["name", "maybe", "many", "map"].map(str::to_owned).into();
    Shape::new(&schema(), &BTreeMap::from([("T".to_owned(), MonitorTable { columns, conditions: vec![] })]))
}

fn updates(json: &serde_json::Value) -> Updates {
    Updates::from_json(Dialect::Since, &json!({ "T": json })).unwrap()
}

fn loaded(json: &serde_json::Value) -> Replica {
    let replica = Replica::default();
    let last = Some(A.parse().unwrap());
    replica.load(shape(), &MonitorReply { resumed: false, last, updates: updates(json) }).unwrap();
    replica
}

fn row(replica: &Replica, uuid: &str) -> Option<Row> {
    replica.snapshot().row("T", uuid.parse().unwrap()).map(|row| (**row).clone())
}

#[test]
fn defaults_are_filled_in_and_differences_applied() {
    let replica = loaded(&json!({A: {"initial": {"name": "a", "many": ["set", [1, 2]]}}}));
    let first = row(&replica, A).unwrap();
    assert_eq!(first.get("maybe"), Some(&Value::empty()));
    assert_eq!(first.get("map"), Some(&Value::Map(BTreeMap::new())));

    let change = json!({A: {"modify": {"many": ["set", [2, 3]], "maybe": 4, "map": ["map", [["k", "v"]]]}}});
    replica.update(&updates(&change), None).unwrap();
    let expected = Row::new()
        .with("name", "a")
        .with("maybe", 4_i64)
        .with("many", vec![1_i64, 3])
        .with("map", Value::map([("k", "v")]));
    assert_eq!(row(&replica, A), Some(expected.clone()));

    // A single optional value is replaced, never toggled.
    replica.update(&updates(&json!({A: {"modify": {"maybe": 5}}})), None).unwrap();
    assert_eq!(row(&replica, A), Some(expected.with("maybe", 5_i64)));
    replica.update(&updates(&json!({A: {"delete": null}})), None).unwrap();
    assert_eq!(row(&replica, A), None);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let replica = loaded(&json!({A: {"initial": {"name": "a"}}}));
    let before = replica.snapshot();
    replica.update(&updates(&json!({A: {"delete": null}, B: {"insert": {}}})), None).unwrap();
    assert_eq!(before.len("T"), 1);
    assert!(before.find("T", "name", "a").is_some());
    assert!(replica.snapshot().find("T", "name", "a").is_none());
    assert!(replica.snapshot().generation() > before.generation());
}

#[test]
fn after_a_reload_subscribers_hear_only_what_differs() {
    let replica = loaded(&json!({A: {"initial": {"name": "a"}}, B: {"initial": {"name": "b"}}}));
    let (_, subscription) = replica.subscribe();
    let again = updates(&json!({A: {"initial": {"name": "a"}}, B: {"initial": {"name": "c"}}}));
    replica.load(shape(), &MonitorReply { resumed: false, last: None, updates: again.clone() }).unwrap();
    let Some(Event::Changed(changes)) = subscription.next(Duration::ZERO) else { panic!("nothing heard") };
    let [change] = &*changes else { panic!("{changes:?}") };
    assert_eq!(change.uuid, B.parse().unwrap());
    assert_eq!(change.new.as_ref().unwrap().read::<String>("name").unwrap(), "c");

    replica.load(shape(), &MonitorReply { resumed: false, last: None, updates: again }).unwrap();
    assert!(subscription.next(Duration::ZERO).is_none(), "the same again is no change");
}

#[test]
fn an_update_that_fits_nothing_is_an_error_and_ends_the_resuming() {
    for wrong in [
        json!({B: {"modify": {"name": "x"}}}),
        json!({A: {"modify": {"other": 1}}}),
        json!({A: {"modify": {"map": 1}}}),
    ] {
        let replica = loaded(&json!({A: {"initial": {"name": "a"}}}));
        assert!(replica.last().is_some());
        replica.update(&updates(&wrong), Some(B.parse().unwrap())).unwrap_err();
        assert_eq!(replica.last(), None, "{wrong}");
    }
    let replica = loaded(&json!({}));
    let other = Updates::from_json(Dialect::Since, &json!({"Other": {A: {"insert": {}}}})).unwrap();
    assert!(replica.update(&other, None).unwrap_err().to_string().contains("Other"));
}

#[test]
fn waiting_ends_when_the_content_is_as_wanted_or_time_is_up() {
    let replica = loaded(&json!({}));
    let found = |snapshot: &Snapshot| snapshot.find("T", "name", "a").map(|(uuid, _)| uuid);
    assert_eq!(replica.wait(Instant::now(), found), None);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| replica.wait(Instant::now() + Duration::from_secs(20), found));
        replica.update(&updates(&json!({A: {"insert": {"name": "a"}}})), None).unwrap();
        assert_eq!(waiter.join().unwrap(), Some(A.parse().unwrap()));
    });
}
