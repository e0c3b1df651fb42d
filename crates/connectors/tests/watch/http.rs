//! A small HTTP server: a node or a Holdfast, as well as it feels.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_connectors::Answer;
use serde_json::{Value, json};

pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

pub(crate) enum Reply {
    Json(u16, Value),
    Text(u16, String),
    /// Says nothing for so long, then rubbish: who waits for it is told that.
    Hang(Duration),
    /// Sends a byte now and then, in the end as many as it said: rubbish, for who waits for them.
    Dribble,
    /// Sends without end.
    Flood,
    /// Closes the connection.
    Close,
}

/// How a server feels.
pub(crate) type Mood = fn() -> Reply;

/// Serves until the process ends; returns the URL.
pub(crate) fn serve(handle: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || drop(one(stream, &*handle)));
        }
    });
    url
}

fn one(mut stream: TcpStream, handle: &dyn Fn(&Request) -> Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap();
    let mut send = |status: u16, text: &str| {
        let length = text.len();
        write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}")
    };
    match handle(&Request { path, authorization, body }) {
        Reply::Json(status, value) => send(status, &value.to_string()),
        Reply::Text(status, text) => send(status, &text),
        Reply::Close => Ok(()),
        Reply::Hang(time) => {
            std::thread::sleep(time);
            send(200, "<html>")
        }
        Reply::Dribble => {
            write!(stream, "HTTP/1.1 200 X\r\ncontent-length: 400\r\n\r\n")?;
            for _ in 0..400 {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        Reply::Flood => {
            write!(stream, "HTTP/1.1 200 X\r\nconnection: close\r\n\r\n")?;
            for _ in 0..2_000 {
                stream.write_all(&[b' '; 65_536])?;
            }
            Ok(())
        }
    }
}

/// Answers a JSON-RPC body, single or batch.
pub(crate) fn rpc(body: &Value, mut answer: impl FnMut(&str, &[Value]) -> Answer) -> Value {
    let mut one = |call: &Value| {
        let params = call["params"].as_array().unwrap();
        match answer(call["method"].as_str().unwrap(), params) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Err(refusal) => {
                let error = json!({ "code": refusal.code, "message": refusal.message });
                json!({ "jsonrpc": "2.0", "id": call["id"], "error": error })
            }
        }
    };
    match body {
        // Batches may be answered in any order.
        Value::Array(calls) => calls.iter().rev().map(one).collect(),
        call => one(call),
    }
}

/// What Holdfast was told: one line an observation, `HASH8 status confirmations`.
#[derive(Clone, Default)]
pub(crate) struct Holdfast {
    pub(crate) told: Arc<Mutex<Vec<String>>>,
    pub(crate) requests: Arc<Mutex<Vec<usize>>>,
    /// So many requests are answered with this before one is taken.
    pub(crate) refuse: Arc<Mutex<Vec<Mood>>>,
}

impl Holdfast {
    pub(crate) fn serve(&self) -> String {
        let this = self.clone();
        serve(move |request| {
            assert_eq!(request.path, "/v1/chain/observations");
            assert_eq!(request.authorization.as_deref(), Some("Bearer chain-token"));
            let seen = request.body["observations"].as_array().unwrap();
            this.requests.lock().unwrap().push(seen.len());
            if let Some(refuse) = this.refuse.lock().unwrap().pop() {
                return refuse();
            }
            let line = |seen: &Value| {
                let text = |name: &str| seen[name].as_str().unwrap().to_owned();
                format!("{} {} {}", text("transaction"), text("status"), seen["confirmations"])
            };
            this.told.lock().unwrap().extend(seen.iter().map(line));
            let result = |seen: &Value| json!({ "transaction": seen["transaction"], "matched": null, "effect": "nothing" });
            Reply::Json(200, json!({ "sequence": 1, "results": seen.iter().map(result).collect::<Vec<_>>() }))
        })
    }

    pub(crate) fn take(&self) -> Vec<String> {
        core::mem::take(&mut self.told.lock().unwrap())
    }
}
