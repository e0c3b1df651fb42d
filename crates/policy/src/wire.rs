//! The bytes of a compiled program, as the journal keeps them.
//!
//! CBOR, one encoding for each program: `[1, hash, [policy...]]`, a policy `[id, actions, effect, condition]`, an effect
//! `[]` or `[degree, reason]`, an expression `[tag, part...]`. Tags, like the numbers of facts, are never reused.
//! Decoding believes no length and no type: it is bounded in depth and count, and what it makes passes the same checks
//! as what the compiler makes.

use minicbor::{Decoder, Encoder};

use crate::expr::{Arithmetic, Comparison, DEPTH_MAX, Expr, LITERAL_MAX, NODES_MAX};
use crate::facts::{Enumeration, Fact};
use crate::outcome::Degree;
use crate::program::{Effect, NAME_MAX, POLICIES_MAX, Policy, PolicyMeta, Program, ProgramError};

/// The version of the encoding.
const VERSION: u8 = 1;
/// The most bytes of a compiled program.
pub(crate) const BYTES_MAX: usize = 4 << 20;

type Encoded<'a> = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

fn put(e: &mut Encoder<Vec<u8>>, expr: &Expr) -> Encoded<'static> {
    fn parts(e: &mut Encoder<Vec<u8>>, tag: u8, parts: &[Expr]) -> Encoded<'static> {
        e.array(1 + parts.len() as u64)?.u8(tag)?;
        parts.iter().try_for_each(|part| put(e, part))
    }
    match expr {
        Expr::Bool(value) => e.array(2)?.u8(0)?.bool(*value)?.ok(),
        Expr::Long(value) => e.array(2)?.u8(1)?.i64(*value)?.ok(),
        Expr::Text(value) => e.array(2)?.u8(2)?.str(value)?.ok(),
        Expr::Member(enumeration, word) => {
            let number = Enumeration::ALL.iter().position(|e| e == enumeration).unwrap_or(usize::MAX);
            e.array(3)?.u8(3)?.u64(number as u64)?.str(word)?.ok()
        }
        Expr::Fact(fact) => e.array(2)?.u8(4)?.u16(fact.code())?.ok(),
        Expr::Not(inner) => parts(e, 5, core::slice::from_ref(&**inner)),
        Expr::Negate(inner) => parts(e, 6, core::slice::from_ref(&**inner)),
        Expr::All(all) => parts(e, 7, all),
        Expr::Any(any) => parts(e, 8, any),
        Expr::If(three) => parts(e, 9, &**three),
        Expr::Compare(comparison, pair) => {
            let tag = match comparison {
                Comparison::Equal => 10,
                Comparison::NotEqual => 11,
                Comparison::Less => 12,
                Comparison::LessOrEqual => 13,
                Comparison::Greater => 14,
                Comparison::GreaterOrEqual => 15,
            };
            parts(e, tag, &**pair)
        }
        Expr::Arithmetic(operation, pair) => {
            let tag = match operation {
                Arithmetic::Add => 16,
                Arithmetic::Subtract => 17,
                Arithmetic::Multiply => 18,
            };
            parts(e, tag, &**pair)
        }
        Expr::Among(value, set) => {
            e.array(2 + set.len() as u64)?.u8(19)?;
            put(e, value)?;
            set.iter().try_for_each(|literal| put(e, literal))
        }
    }
}

type Decoded<T> = Result<T, ProgramError>;

fn bad<E>(what: &'static str) -> impl Fn(E) -> ProgramError {
    move |_| ProgramError::Bytes(what)
}

fn length(d: &mut Decoder<'_>) -> Decoded<u64> {
    d.array().map_err(bad("an array is missing"))?.ok_or(ProgramError::Bytes("an array of unknown length"))
}

fn text(d: &mut Decoder<'_>, max: usize) -> Decoded<Box<str>> {
    let text = d.str().map_err(bad("a text is missing"))?;
    if text.len() > max { Err(ProgramError::Bytes("a text is too long")) } else { Ok(text.into()) }
}

fn get(d: &mut Decoder<'_>, depth: usize, nodes: &mut usize) -> Decoded<Expr> {
    if depth > DEPTH_MAX {
        return Err(ProgramError::Bytes("a condition is nested too deep"));
    }
    let length = length(d)?;
    let tag = d.u8().map_err(bad("an expression has no tag"))?;
    let count = length.checked_sub(1).ok_or(ProgramError::Bytes("an expression is empty"))?;
    let takes = |expected: u64| {
        if count == expected {
            Ok(())
        } else {
            Err(ProgramError::Bytes("an expression has another number of parts"))
        }
    };
    let mut part = |d: &mut Decoder<'_>| {
        *nodes += 1;
        if *nodes > NODES_MAX {
            Err(ProgramError::Bytes("too many expressions"))
        } else {
            get(d, depth + 1, nodes)
        }
    };
    let mut many = |d: &mut Decoder<'_>, count: u64| -> Decoded<Box<[Expr]>> {
        // Not collected by the declared length: each part must be there before room is made for the next.
        let mut parts = Vec::new();
        for _ in 0..count {
            parts.push(part(d)?);
        }
        Ok(parts.into_boxed_slice())
    };
    let mut fixed = |d: &mut Decoder<'_>| -> Decoded<Box<[Expr; 2]>> {
        takes(2)?;
        Box::<[Expr; 2]>::try_from(many(d, 2)?).map_err(bad("an expression has another number of parts"))
    };
    match tag {
        0 => takes(1).and_then(|()| d.bool().map(Expr::Bool).map_err(bad("a truth is missing"))),
        1 => takes(1).and_then(|()| d.i64().map(Expr::Long).map_err(bad("a number is missing"))),
        2 => takes(1).and_then(|()| text(d, LITERAL_MAX).map(Expr::Text)),
        3 => {
            takes(2)?;
            let number = d.u8().map_err(bad("an enumeration is missing"))?;
            let enumeration = Enumeration::ALL
                .get(usize::from(number))
                .ok_or(ProgramError::Bytes("no such enumeration"))?;
            Ok(Expr::Member(*enumeration, text(d, LITERAL_MAX)?))
        }
        4 => {
            takes(1)?;
            let code = d.u16().map_err(bad("a fact is missing"))?;
            Fact::from_code(code).map(Expr::Fact).ok_or(ProgramError::Bytes("no such fact in this version"))
        }
        5 => takes(1).and_then(|()| part(d)).map(|inner| Expr::Not(Box::new(inner))),
        6 => takes(1).and_then(|()| part(d)).map(|inner| Expr::Negate(Box::new(inner))),
        7 => many(d, count).map(Expr::All),
        8 => many(d, count).map(Expr::Any),
        9 => {
            takes(3)?;
            let three = Box::<[Expr; 3]>::try_from(many(d, 3)?);
            three.map(Expr::If).map_err(bad("an expression has another number of parts"))
        }
        10 => Ok(Expr::Compare(Comparison::Equal, fixed(d)?)),
        11 => Ok(Expr::Compare(Comparison::NotEqual, fixed(d)?)),
        12 => Ok(Expr::Compare(Comparison::Less, fixed(d)?)),
        13 => Ok(Expr::Compare(Comparison::LessOrEqual, fixed(d)?)),
        14 => Ok(Expr::Compare(Comparison::Greater, fixed(d)?)),
        15 => Ok(Expr::Compare(Comparison::GreaterOrEqual, fixed(d)?)),
        16 => Ok(Expr::Arithmetic(Arithmetic::Add, fixed(d)?)),
        17 => Ok(Expr::Arithmetic(Arithmetic::Subtract, fixed(d)?)),
        18 => Ok(Expr::Arithmetic(Arithmetic::Multiply, fixed(d)?)),
        19 => {
            let set = count.checked_sub(1).ok_or(ProgramError::Bytes("a set without its value"))?;
            let value =
                many(d, 1)?.into_iter().next().ok_or(ProgramError::Bytes("a set without its value"))?;
            Ok(Expr::Among(Box::new(value), many(d, set)?))
        }
        _ => Err(ProgramError::Bytes("no such expression in this version")),
    }
}

impl Program {
    /// The program's bytes: the same for the same program, always.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::new());
        let mut write = || -> Encoded<'static> {
            e.array(3)?.u8(VERSION)?.bytes(&self.hash())?.array(self.len() as u64)?;
            for Policy { meta, condition } in self.policies() {
                e.array(4)?.str(&meta.id)?.u64(meta.actions)?;
                match &meta.effect {
                    Effect::Permit => e.array(0)?.ok()?,
                    Effect::Forbid { degree, reason } => e.array(2)?.encode(degree)?.str(reason)?.ok()?,
                }
                put(&mut e, condition)?;
            }
            Ok(())
        };
        match write() {
            Ok(()) => e.into_writer(),
            // Writing to memory does not fail; were it to, no bytes are no program.
            Err(_) => Vec::new(),
        }
    }

    /// The program that the bytes are, checked as if it had just been compiled.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProgramError> {
        if bytes.len() > BYTES_MAX {
            return Err(ProgramError::Bytes("it is too large"));
        }
        let mut d = Decoder::new(bytes);
        if length(&mut d)? != 3 || d.u8().map_err(bad("the version is missing"))? != VERSION {
            return Err(ProgramError::Bytes("another version"));
        }
        let hash = d
            .bytes()
            .ok()
            .and_then(|b| b.try_into().ok())
            .ok_or(ProgramError::Bytes("the hash is missing"))?;
        let count = length(&mut d)?;
        if count > POLICIES_MAX as u64 {
            return Err(ProgramError::TooManyPolicies);
        }
        let (mut policies, mut nodes) = (Vec::new(), 0);
        for _ in 0..count {
            if length(&mut d)? != 4 {
                return Err(ProgramError::Bytes("a policy has another number of parts"));
            }
            let id = text(&mut d, NAME_MAX)?;
            let actions = d.u64().map_err(bad("the actions are missing"))?;
            let effect = match length(&mut d)? {
                0 => Effect::Permit,
                2 => {
                    let degree: Degree = d.decode().map_err(bad("the degree is missing"))?;
                    Effect::Forbid { degree, reason: text(&mut d, NAME_MAX)? }
                }
                _ => return Err(ProgramError::Bytes("no such effect")),
            };
            let condition = get(&mut d, 1, &mut nodes)?;
            policies.push(Policy { meta: PolicyMeta { id, effect, actions }, condition });
        }
        let program = Self::new(hash, policies)?;
        // One spelling: what the journal holds is what this program encodes to, with nothing before, between or after.
        if program.to_bytes() == bytes {
            Ok(program)
        } else {
            Err(ProgramError::Bytes("not in its one spelling"))
        }
    }
}
