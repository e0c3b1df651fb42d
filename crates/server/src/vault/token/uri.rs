//! `pkcs11:` references (RFC 7512, the part of it that names one key): which module, token and object, and where the
//! PIN is. A PIN itself may not stand in one.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::TokenError;
use crate::vault::private::private_file;

/// A longer reference is none.
pub const URI_BYTES_MAX: usize = 1_024;
/// PKCS#11 pads a token's label to this.
const TOKEN_LABEL_BYTES_MAX: usize = 32;
const PIN_BYTES_MAX: usize = 255;
const SCHEME: &str = "pkcs11:";

/// Which key of which token:
/// `pkcs11:token=LABEL;object=LABEL?module-path=/path/to/module.so&pin-source=file:/path/to/pin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs11Uri {
    pub(super) module: PathBuf,
    pub(super) token: String,
    pub(super) object: String,
    pin: PinSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PinSource {
    File(PathBuf),
    Environment(String),
}

impl Pkcs11Uri {
    /// Whether the text means to be such a reference.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads one. Every part is needed, none may be repeated and no other may be there: a part that were ignored could
    /// be the one that told two keys apart.
    ///
    /// # Errors
    /// [`TokenError::Uri`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let invalid = |what: String| TokenError::Uri(what);
        if text.len() > URI_BYTES_MAX {
            return Err(invalid(format!("it is longer than {URI_BYTES_MAX} bytes")));
        }
        let rest =
            text.strip_prefix(SCHEME).ok_or_else(|| invalid(format!("it must start with {SCHEME}")))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut token, mut object, mut module, mut pin) = (None, None, None, None);
        for part in path.split(';').chain(query.split('&')) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| invalid("write its parts as NAME=VALUE".into()))?;
            let place = match name {
                "token" => &mut token,
                "object" => &mut object,
                "module-path" => &mut module,
                "pin-source" => &mut pin,
                "pin-value" => {
                    return Err(invalid(
                        "a PIN must not stand in it: name where it is with pin-source=file:/PATH or \
                         pin-source=env:NAME"
                            .into(),
                    ));
                }
                _ => {
                    return Err(invalid(format!(
                        "{name} is not among token, object, module-path, pin-source"
                    )));
                }
            };
            if place
                .replace(decode(value).ok_or_else(|| invalid(format!("{name} does not decode")))?)
                .is_some()
            {
                return Err(invalid(format!("{name} is there twice")));
            }
        }
        let needed = |part: Option<String>, name: &str| {
            part.filter(|value| !value.is_empty()).ok_or_else(|| invalid(format!("{name}= is missing")))
        };
        let token = needed(token, "token")?;
        if token.len() > TOKEN_LABEL_BYTES_MAX {
            return Err(invalid(format!("a token's label has at most {TOKEN_LABEL_BYTES_MAX} bytes")));
        }
        let module = PathBuf::from(needed(module, "module-path")?);
        if !module.is_absolute() {
            return Err(invalid("module-path must be absolute".into()));
        }
        let pin = needed(pin, "pin-source")?;
        let pin = match pin.split_once(':') {
            // With an empty authority or without one; one that names a host is none of ours. A path that still begins
            // with two slashes would read as a host once it is written down again.
            Some(("file", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if !path.starts_with('/') || path.starts_with("//") {
                    return Err(invalid("pin-source=file: needs one absolute path: file:/PATH".into()));
                }
                PinSource::File(path.into())
            }
            Some(("env", name)) if is_variable(name) => PinSource::Environment(name.to_owned()),
            _ => return Err(invalid("pin-source must be file:/PATH or env:NAME".into())),
        };
        Ok(Self { module, token, object: needed(object, "object")?, pin })
    }

    /// The PIN, from where it lies.
    pub(super) fn pin(&self) -> Result<Zeroizing<String>, TokenError> {
        let failed = |what: String| TokenError::Pin(what);
        let pin = match &self.pin {
            PinSource::File(path) => {
                let bytes = private_file(path, PIN_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
                let text = std::str::from_utf8(&bytes)
                    .map_err(|_| failed(format!("{} is not UTF-8", path.display())))?;
                Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            PinSource::Environment(name) => Zeroizing::new(
                std::env::var(name)
                    .map_err(|_| failed(format!("the environment variable {name} is not set")))?,
            ),
        };
        if pin.is_empty() || pin.len() > PIN_BYTES_MAX {
            return Err(failed(format!("it must have 1 to {PIN_BYTES_MAX} bytes")));
        }
        Ok(pin)
    }
}

/// The one spelling that [`Pkcs11Uri::parse`] reads back as the same reference.
impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pin = match &self.pin {
            PinSource::File(path) => format!("file:{}", path.display()),
            PinSource::Environment(name) => format!("env:{name}"),
        };
        write!(
            f,
            "{SCHEME}token={};object={}?module-path={}&pin-source={}",
            encode(&self.token),
            encode(&self.object),
            encode(&self.module.display().to_string()),
            encode(&pin)
        )
    }
}

/// What shells take for the name of a variable: anything else would never be found.
fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn encode(text: &str) -> String {
    use fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _never_fails = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            high << 4 | low
        } else {
            byte
        });
    }
    String::from_utf8(out).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_and_print_one_way() {
        let plain = "pkcs11:token=holdfast;object=kek-1?module-path=/usr/lib/m.so&pin-source=file:/etc/pin";
        assert_eq!(Pkcs11Uri::parse(plain).unwrap().to_string(), plain);
        let spaced = "pkcs11:object=a%3Bb;token=hold%20fast?pin-source=env:PIN&module-path=%2Fm.so";
        let uri = Pkcs11Uri::parse(spaced).unwrap();
        assert_eq!((uri.token.as_str(), uri.object.as_str()), ("hold fast", "a;b"));
        assert_eq!(Pkcs11Uri::parse(&uri.to_string()).unwrap(), uri);
        let authority = plain.replace("file:/etc", "file:///etc");
        assert_eq!(Pkcs11Uri::parse(&authority).unwrap().to_string(), plain);
        let doubled = plain.replace("file:/etc", "file:////etc");
        assert!(Pkcs11Uri::parse(&doubled).is_err(), "would print as a host's");
        for name in ["", "1", "A B", "pin-value=1234"] {
            assert!(
                Pkcs11Uri::parse(&plain.replace("file:/etc/pin", &format!("env:{name}"))).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn what_does_not_name_one_key_is_refused() {
        let good = "pkcs11:token=t;object=o?module-path=/m.so&pin-source=file:/p";
        for (from, to) in [
            ("pkcs11:", "pkcs12:"),
            ("token=t;", ""),
            ("token=t", "token="),
            ("object=o", "object=o;object=o"),
            ("object=o", "object=o;id=%01"),
            ("object=o", "object"),
            ("object=o", "object=%0"),
            ("object=o", "object=%zz"),
            ("object=o", "object=%00"),
            ("object=o", "object=%ff"),
            ("token=t", "token=0123456789abcdef0123456789abcdef0"),
            ("/m.so", "m.so"),
            ("pin-source=file:/p", "pin-value=1234"),
            ("file:/p", "file:p"),
            ("file:/p", "file://host/p"),
            ("file:/p", "|cat"),
            ("file:/p", "env:"),
            ("&pin-source=file:/p", ""),
            ("?module-path=/m.so&pin-source=file:/p", ""),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good);
            assert_eq!(
                Pkcs11Uri::parse(&text).map_err(|error| error.code()),
                Err("pkcs11_uri_invalid"),
                "{text}"
            );
        }
        assert!(
            Pkcs11Uri::parse(&good.replace("object=o", &format!("object={}", "o".repeat(1_024)))).is_err()
        );
        let error = Pkcs11Uri::parse(&good.replace("pin-source=file:/p", "pin-value=hunter2")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
