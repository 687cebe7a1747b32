//! The machine that reads pickles: a stack, marks on it, and a memo of values to come back to.
//!
//! It knows the opcodes of protocols 2 to 5 that plain data needs. The only things ever made are
//! those of [`value`](super::value).

use std::collections::HashMap;

use super::call::{call, storage};
use super::global::Global;
use super::opcode;
use super::source::{LONGEST_LINE, Source};
use super::value::{Heap, Object, Value};
use crate::{Error, Result};

/// The highest protocol there is.
const LATEST_PROTOCOL: u8 = 5;

/// What one entry of the memo takes.
const MEMO_ENTRY: usize = 2 * (size_of::<u32>() + size_of::<Value>());

pub(super) struct Machine {
    pub(super) source: Source,
    pub(super) heap: Heap,
    stack: Vec<Value>,
    /// The lengths of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
}

impl Machine {
    /// A machine that reads from `source` and makes no more of it than `most_memory` bytes.
    pub(super) fn new(source: Source, most_memory: u64) -> Self {
        Machine {
            source,
            heap: Heap::new(most_memory),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Reads one pickle. The source then stands behind it.
    pub(super) fn load(&mut self) -> Result<Value> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let at = self.source.position();
            match self.step() {
                Ok(None) => {}
                Ok(Some(value)) => return Ok(value),
                Err(error) => return Err(error.in_file(&format!("byte {at} of the pickle"))),
            }
        }
    }

    /// Follows one opcode; the value of the pickle if it was the last one.
    fn step(&mut self) -> Result<Option<Value>> {
        let opcode = self.source.byte()?;
        match opcode {
            opcode::PROTO => {
                let protocol = self.source.byte()?;
                if protocol > LATEST_PROTOCOL {
                    let expected = format!("a protocol up to {LATEST_PROTOCOL}");
                    return Err(Error::unsupported("", expected, protocol));
                }
            }
            // A frame says how much to read at once; what is in it speaks for itself.
            opcode::FRAME => drop(self.source.array::<8>()?),
            opcode::STOP => return self.pop().map(Some),
            opcode::MARK => {
                self.check_room(self.marks.len())?;
                self.marks.push(self.stack.len());
            }
            opcode::POP => drop(self.pop()?),
            opcode::POP_MARK => {
                let mark = self.pop_mark()?;
                self.stack.truncate(mark);
            }
            opcode::DUP => self.push(self.top()?)?,

            opcode::NONE => self.push(Value::None)?,
            opcode::NEWTRUE => self.push(Value::Bool(true))?,
            opcode::NEWFALSE => self.push(Value::Bool(false))?,
            opcode::BININT => {
                let value = i32::from_le_bytes(self.source.array()?);
                self.push(Value::Int(value.into()))?;
            }
            opcode::BININT1 => {
                let value = self.source.byte()?;
                self.push(Value::Int(value.into()))?;
            }
            opcode::BININT2 => {
                let value = u16::from_le_bytes(self.source.array()?);
                self.push(Value::Int(value.into()))?;
            }
            opcode::LONG1 | opcode::LONG4 => {
                let length = self.length(if opcode == opcode::LONG1 { 1 } else { 4 })?;
                let bytes = self.source.bytes(length)?;
                self.push(long(&bytes))?;
            }
            opcode::BINFLOAT => {
                // The only number that is big-endian.
                let value = f64::from_be_bytes(self.source.array()?);
                self.push(Value::Float(value))?;
            }
            opcode::BINUNICODE
            | opcode::SHORT_BINUNICODE
            | opcode::BINUNICODE8
            | opcode::BINSTRING
            | opcode::SHORT_BINSTRING => {
                let width = match opcode {
                    opcode::SHORT_BINUNICODE | opcode::SHORT_BINSTRING => 1,
                    opcode::BINUNICODE8 => 8,
                    _ => 4,
                };
                let length = self.length(width)?;
                // Python 2 wrote bytes as strings.
                if matches!(opcode, opcode::BINSTRING | opcode::SHORT_BINSTRING) {
                    match String::from_utf8(self.source.bytes(length)?) {
                        Ok(text) => self.push_new(Object::Text(text))?,
                        Err(_) => self.push(Value::Aside)?,
                    }
                    return Ok(None);
                }
                let text = self.source.text(length)?;
                self.push_new(Object::Text(text))?;
            }
            opcode::BINBYTES | opcode::SHORT_BINBYTES | opcode::BINBYTES8 | opcode::BYTEARRAY8 => {
                let width = match opcode {
                    opcode::BINBYTES => 4,
                    opcode::SHORT_BINBYTES => 1,
                    _ => 8,
                };
                let length = self.length(width)?;
                self.source.bytes(length)?;
                self.push(Value::Aside)?;
            }

            opcode::EMPTY_LIST | opcode::EMPTY_TUPLE | opcode::EMPTY_SET => {
                self.push_new(Object::Sequence(Vec::new()))?;
            }
            opcode::LIST | opcode::TUPLE | opcode::FROZENSET => {
                let items = self.pop_items()?;
                self.push_new(Object::Sequence(items))?;
            }
            opcode::TUPLE1 => self.push_tuple(1)?,
            opcode::TUPLE2 => self.push_tuple(2)?,
            opcode::TUPLE3 => self.push_tuple(3)?,
            opcode::APPEND => {
                let item = self.pop()?;
                self.heap.extend_sequence(self.top()?, &[item])?;
            }
            opcode::APPENDS | opcode::ADDITEMS => {
                let items = self.pop_items()?;
                self.heap.extend_sequence(self.top()?, &items)?;
            }
            opcode::EMPTY_DICT => self.push_new(Object::Dict(Vec::new()))?,
            opcode::DICT => {
                let items = self.pop_items()?;
                let dict = self.heap.add(Object::Dict(Vec::new()))?;
                self.heap.extend_dict(dict, &items)?;
                self.push(dict)?;
            }
            opcode::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.heap.extend_dict(self.top()?, &[key, value])?;
            }
            opcode::SETITEMS => {
                let items = self.pop_items()?;
                self.heap.extend_dict(self.top()?, &items)?;
            }

            opcode::BINPUT => {
                let number = self.source.byte()?;
                self.memoize(number.into())?;
            }
            opcode::LONG_BINPUT => {
                let number = u32::from_le_bytes(self.source.array()?);
                self.memoize(number)?;
            }
            opcode::MEMOIZE => self.memoize(self.memo.len() as u32)?,
            opcode::BINGET => {
                let number = self.source.byte()?;
                self.recall(number.into())?;
            }
            opcode::LONG_BINGET => {
                let number = u32::from_le_bytes(self.source.array()?);
                self.recall(number)?;
            }

            opcode::GLOBAL => {
                let (module, name) = (self.source.line()?, self.source.line()?);
                self.push_global(&module, &name)?;
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |value| {
                    let wrong = || Error::format("", "the name of a class", self.heap.name(value));
                    let text = self.heap.text(value).ok_or_else(wrong)?;
                    check_name(text)?;
                    Ok::<_, Error>(text.to_string())
                };
                let (module, name) = (text(module)?, text(name)?);
                self.push_global(&module, &name)?;
            }
            opcode::REDUCE => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let result = call(&mut self.heap, function, arguments)?;
                self.push(result)?;
            }
            // A new object of a class, made without its constructor: the same to a machine that calls none.
            opcode::NEWOBJ => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                let result = call(&mut self.heap, class, arguments)?;
                self.push(result)?;
            }
            opcode::NEWOBJ_EX => {
                self.pop()?;
                let (arguments, class) = (self.pop()?, self.pop()?);
                let result = call(&mut self.heap, class, arguments)?;
                self.push(result)?;
            }
            // Attributes of a dict, such as the versions in a state dict's `_metadata`: left aside. So is what
            // an object of an unknown class is made of.
            opcode::BUILD => {
                self.pop()?;
                self.top()?;
            }
            opcode::BINPERSID => {
                let identity = self.pop()?;
                let result = storage(&mut self.heap, identity)?;
                self.push(result)?;
            }

            other => {
                return Err(Error::unsupported(
                    "",
                    "tensors and plain data only",
                    opcode::refused_name(other),
                )
                .help(
                    "nothing of a pickle is run; save the model's state_dict() with torch.save",
                ));
            }
        }
        Ok(None)
    }

    /// A length of `width` bytes.
    fn length(&mut self, width: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        for byte in &mut bytes[..width] {
            *byte = self.source.byte()?;
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn check_room(&self, length: usize) -> Result<()> {
        let most = self.heap.most_values();
        match length < most {
            true => Ok(()),
            false => Err(Error::limit(
                "",
                format!("a stack of at most {most} values"),
                "more",
            )),
        }
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.check_room(self.stack.len())?;
        self.stack.push(value);
        Ok(())
    }

    fn push_new(&mut self, object: Object) -> Result<()> {
        let value = self.heap.add(object)?;
        self.push(value)
    }

    /// The class or function of this name, which nothing calls.
    fn push_global(&mut self, module: &str, name: &str) -> Result<()> {
        match Global::find(module, name)? {
            Some(global) => self.push(Value::Global(global)),
            None => {
                let name = format!("{}.{}", module.escape_debug(), name.escape_debug());
                self.push_new(Object::Class(name))
            }
        }
    }

    fn push_tuple(&mut self, length: usize) -> Result<()> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push_new(Object::Sequence(items))
    }

    /// Where the stack ends for what came after the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Value> {
        let above = self.stack.get(self.floor()..).and_then(<[Value]>::last);
        above.copied().ok_or_else(empty)
    }

    fn pop(&mut self) -> Result<Value> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_mark(&mut self) -> Result<usize> {
        let unmarked = || Error::format("", "a mark on the stack", "none");
        self.marks.pop().ok_or_else(unmarked)
    }

    /// What lies above the last mark.
    fn pop_items(&mut self) -> Result<Vec<Value>> {
        let mark = self.pop_mark()?;
        Ok(self.stack.split_off(mark))
    }

    fn memoize(&mut self, number: u32) -> Result<()> {
        let value = self.top()?;
        if self.memo.insert(number, value).is_none() {
            self.heap.charge(MEMO_ENTRY)?;
        }
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<()> {
        let value = self.memo.get(&number).copied();
        let unknown = || Error::format("", "a value of the memo", format!("its number {number}"));
        self.push(value.ok_or_else(unknown)?)
    }
}

/// Names that a text gives are no longer than those that lines give.
fn check_name(name: &str) -> Result<()> {
    match name.len() <= LONGEST_LINE {
        true => Ok(()),
        false => {
            let expected = format!("a name of at most {LONGEST_LINE} bytes");
            Err(Error::limit("", expected, "a longer one"))
        }
    }
}

fn empty() -> Error {
    Error::format("", "a value on the stack", "none")
}

/// A whole number of any length, little-endian; those beyond 64 bits are of no use here.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Aside;
    }
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut extended = [if negative { 0xFF } else { 0 }; 8];
    extended[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(extended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Input;

    fn load(pickle: &[u8]) -> Result<(Machine, Value)> {
        let source = Source::new(&Input::memory(pickle.to_vec()));
        let mut machine = Machine::new(source, 1 << 16);
        let value = machine.load()?;
        Ok((machine, value))
    }

    #[test]
    fn whole_numbers_are_twos_complement() {
        for (bytes, value) in [
            (&[][..], 0),
            (&[0xFF], -1),
            (&[0xFF, 0], 255),
            (&[0, 0x80], -32_768),
            (&[0xFF; 8], -1),
        ] {
            assert!(matches!(long(bytes), Value::Int(received) if received == value));
        }
        assert!(matches!(long(&[1; 9]), Value::Aside));
    }

    #[test]
    fn a_mark_keeps_what_is_below_it() {
        // (1 ( POP: the second mark has nothing above it.
        let error = load(b"\x80\x02K\x01(0.").err().unwrap();
        assert!(matches!(error, Error::Format(_)), "{error}");
        let (machine, value) = load(b"\x80\x02(K\x01(K\x02tt.").unwrap();
        let outer = machine.heap.sequence(value).unwrap();
        assert!(matches!(outer[0], Value::Int(1)));
        assert_eq!(machine.heap.sequence(outer[1]).unwrap().len(), 1);
    }

    #[test]
    fn endless_duplication_exceeds_a_limit() {
        let mut pickle = b"\x80\x02N".to_vec();
        pickle.resize(100_000, opcode::DUP);
        let error = load(&pickle).err().unwrap();
        assert!(matches!(error, Error::Limit(_)), "{error}");
        pickle.truncate(3);
        pickle.resize(100_000, opcode::EMPTY_LIST);
        let error = load(&pickle).err().unwrap();
        assert!(matches!(error, Error::Limit(_)), "{error}");
    }
}
