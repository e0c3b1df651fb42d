//! JSON as a line of an events file may hold it: whole numbers, texts without copies, and no field twice.

use core::fmt;
use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    Bool(bool),
    List(Vec<Self>),
    Object(Object<'a>),
    /// `null`, or a number that no field can be.
    Other,
}

/// Its fields, in their order, each once.
pub(crate) type Object<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// What the message of an error begins with that says that a field stands twice.
pub(crate) const TWICE: &str = "field twice: ";

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(is))
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(Json::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut all: Object<'de> = Vec::with_capacity(8);
        while let Some((name, value)) = map.next_entry::<Json<'de>, Json<'de>>()? {
            let Json::Text(name) = name else { return Err(A::Error::custom("a field without a name")) };
            // A line is short: its fields are few, and are looked through faster than hashed.
            if all.len() < FIELDS_MAX && all.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("{TWICE}{name}")));
            }
            if all.len() >= FIELDS_MAX {
                return Err(A::Error::custom(format!("an object has at most {FIELDS_MAX} fields")));
            }
            all.push((name, value));
        }
        Ok(Json::Object(all))
    }
}

/// The most fields of an object; only prices have many.
pub(crate) const FIELDS_MAX: usize = 1_000;

impl Json<'_> {
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// A field of an object.
pub(crate) fn get<'j, 'a>(object: &'j [(Cow<'a, str>, Json<'a>)], name: &str) -> Option<&'j Json<'a>> {
    object.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}
