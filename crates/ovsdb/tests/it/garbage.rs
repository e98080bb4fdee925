//! No decoder panics, whatever JSON it is given; what is read is written again the same.

use netloom_ovsdb::codec::{Dialect, Message, MonitorReply, Splitter, Updates, delete, insert, outcomes, select};
use netloom_ovsdb::{Row, Schema, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const UUID: &str = "12345678-9abc-4def-8123-456789abcdef";

/// Words that mean something here, so that the made-up reaches deeper.
const WORDS: &[&str] = &[
    "set",
    "map",
    "uuid",
    "named-uuid",
    "insert",
    "initial",
    "modify",
    "delete",
    "old",
    "new",
    "error",
    "details",
    "rows",
    "count",
    "name",
    "tables",
    "columns",
    "type",
    "key",
    "value",
    "min",
    "max",
    "unlimited",
    "enum",
    "refTable",
    "refType",
    "weak",
    "isRoot",
    UUID,
    "x",
];

fn anything() -> impl Strategy<Value = Json> {
    let word = || prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        word().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            // What monitors and their notifications are wrapped in.
            inner.clone().prop_map(|content| json!({"T": {UUID: content}})),
            inner.clone().prop_map(|content| json!([true, UUID, content])),
            (prop::sample::select(WORDS), inner.clone()).prop_map(|(tag, content)| json!([tag, content])),
            prop::collection::vec((word(), inner), 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn feed(json: &Json) {
    for dialect in [Dialect::Plain, Dialect::Conditional, Dialect::Since] {
        drop(MonitorReply::from_json(dialect, json));
        drop(Updates::from_json(dialect, json));
        drop(Updates::from_notification(dialect, json.as_array().map_or(&[], Vec::as_slice)));
    }
    drop(Schema::from_json(json));
    drop(outcomes(&[insert("T", Row::new()), select("T", vec![]), delete("T", vec![])], json));
    if let Ok(value) = Value::from_json(json) {
        assert_eq!(Value::from_json(&value.to_json()), Ok(value));
    }
    if let Ok(row) = Row::from_json(json) {
        assert_eq!(Row::from_json(&row.to_json()), Ok(row));
    }
}

proptest! {
    #[test]
    fn no_json_makes_a_decoder_panic(json in anything()) {
        feed(&json);
    }

    #[test]
    fn no_bytes_make_the_splitter_or_the_reader_of_messages_panic(
        json in anything(),
        at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = json!({"id": 1, "result": json, "error": null}).to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..at, noise);
        drop(Message::from_bytes(&bytes));
        let mut splitter = Splitter::default();
        splitter.push(&bytes);
        while let Ok(Some(message)) = splitter.next_message() {
            if let Ok(Message::Response { result: Ok(json), .. }) = Message::from_bytes(message) {
                feed(&json);
            }
        }
    }
}
