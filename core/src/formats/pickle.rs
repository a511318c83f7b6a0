//! The pickles inside files of torch.save, read by a machine that knows tensors in dicts and nothing else.
//!
//! Reference: `Lib/pickletools.py` of CPython for the instructions (protocols 2 to 4), `torch/serialization.py` and
//! `torch/_utils.py` for what is pickled. A pickle is a program: it may name any function of Python and have it called. Here the
//! names below are known by what they stand for, any other one is refused, and nothing is ever called. Objects refer to each other
//! by number, so that neither depth nor a circle costs anything.

use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use std::collections::HashMap;
use std::rc::Rc;

/// The longest pickle that is read; one of 30,000 tensors has some 7 MB.
pub(super) const MOST_PICKLE_BYTES: u64 = 16 << 20;
/// The most values that it may make; one of 30,000 tensors makes under a million.
const MOST_VALUES: usize = 4 << 20;
/// The most tensors.
const MOST_TENSORS: usize = 1 << 18;
/// The most axes of a tensor.
const MOST_AXES: usize = 8;

/// A name of Python's that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// A storage of numbers by safetensors' name of their type.
    Storage(&'static str),
}

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch" | "torch.storage", "FloatStorage") => Self::Storage("F32"),
            ("torch" | "torch.storage", "HalfStorage") => Self::Storage("F16"),
            ("torch" | "torch.storage", "BFloat16Storage") => Self::Storage("BF16"),
            ("torch" | "torch.storage", "DoubleStorage") => Self::Storage("F64"),
            ("torch" | "torch.storage", "LongStorage") => Self::Storage("I64"),
            ("torch" | "torch.storage", "IntStorage") => Self::Storage("I32"),
            ("torch" | "torch.storage", "ShortStorage") => Self::Storage("I16"),
            ("torch" | "torch.storage", "CharStorage") => Self::Storage("I8"),
            ("torch" | "torch.storage", "ByteStorage") => Self::Storage("U8"),
            ("torch" | "torch.storage", "BoolStorage") => Self::Storage("BOOL"),
            _ => return None,
        })
    }
}

/// A value; containers and tensors by their number.
#[derive(Debug, Clone)]
enum Value {
    None,
    Bool,
    Integer(i64),
    Float,
    Text(Rc<str>),
    /// A tuple or a list.
    Items(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

/// A storage that tensors lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PickledStorage {
    /// safetensors' name of the type of its numbers.
    pub(super) dtype: &'static str,
    /// The name of its file in the archive.
    pub(super) key: Rc<str>,
    /// How many numbers it has.
    pub(super) elements: u64,
}

/// A tensor: which numbers of its storage it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PickledTensor {
    pub(super) storage: PickledStorage,
    /// The number in the storage that its first one is.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    /// How many numbers of the storage a step along each axis is.
    pub(super) strides: Vec<u64>,
}

/// The tensors of a pickled dict, by their keys, in its order.
///
/// # Errors
/// The pickle is cut off or broken, names something that is not known here, or holds something else than tensors.
pub(super) fn read_tensors(bytes: &[u8]) -> Result<Vec<(String, PickledTensor)>> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        items: Vec::new(),
        dicts: Vec::new(),
        storages: Vec::new(),
        tensors: Vec::new(),
        values_left: MOST_VALUES,
    };
    let Value::Dict(dict) = machine.run()? else {
        return Err(Error::format(msg::NoDictOfTensors).remedy(msg::SaveStateDict));
    };
    // One tensor may stand under many names, each of which costs a copy of its shape.
    if machine.dicts[dict].len() > MOST_TENSORS {
        return Err(Error::format(msg::TooManyValues { most: MOST_TENSORS }));
    }
    let mut named = Vec::new();
    for (key, value) in &machine.dicts[dict] {
        let Value::Text(key) = key else {
            return Err(Error::format(msg::NoDictOfTensors).remedy(msg::SaveStateDict));
        };
        let Value::Tensor(tensor) = value else {
            let error = Error::format(msg::PickledIsNoTensor).field(key.to_string());
            return Err(error.remedy(msg::SaveStateDict));
        };
        named.push((key.to_string(), machine.tensors[*tensor].clone()));
    }
    Ok(named)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Places in the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    items: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<PickledStorage>,
    tensors: Vec<PickledTensor>,
    values_left: usize,
}

impl<'a> Machine<'a> {
    /// Follows the pickle to its end and gives what is left.
    fn run(&mut self) -> Result<Value> {
        loop {
            let instruction = self.byte()?;
            if instruction == b'.' {
                let value = self.pop()?;
                return match self.stack.is_empty() && self.marks.is_empty() && self.at == self.bytes.len() {
                    true => Ok(value),
                    false => Err(self.broken()),
                };
            }
            self.follow(instruction)?;
        }
    }

    fn follow(&mut self, instruction: u8) -> Result<()> {
        match instruction {
            // PROTO, FRAME.
            0x80 => match self.byte()? {
                2..=4 => Ok(()),
                _ => Err(self.broken()),
            },
            0x95 => self.take(8).map(drop),
            // Values.
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Integer(i64::from(number)))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Integer(i64::from(number)))
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Integer(i64::from(number)))
            }
            0x8a => self.long(),
            b'G' => {
                self.take(8)?;
                self.push(Value::Float)
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)
            }
            0x8c | b'U' => {
                let length = self.byte()?;
                self.text(usize::from(length))
            }
            // Containers.
            b'}' => self.new_dict(),
            b']' | b')' => self.new_items(Vec::new()),
            b'(' => {
                self.spend()?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b't' => {
                let items = self.pop_marked()?;
                self.new_items(items)
            }
            count @ 0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0..count - 0x84 {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.new_items(items)
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])
            }
            b'e' => {
                let items = self.pop_marked()?;
                self.extend(items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![key, value])
            }
            b'u' => {
                let pairs = self.pop_marked()?;
                self.set(pairs)
            }
            b'0' => self.pop().map(drop),
            // What was there before.
            b'q' => {
                let place = self.byte()?;
                self.remember(u32::from(place))
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)
            }
            0x94 => self.remember(self.memo.len() as u32),
            b'h' => {
                let place = self.byte()?;
                self.recall(u32::from(place))
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)
            }
            // Names, and what they stand for.
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(module, name)
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.global(&module, &name),
                _ => Err(self.broken()),
            },
            b'Q' => self.storage(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            _ => Err(self.broken()),
        }
    }

    fn broken(&self) -> Error {
        let at = self.at.saturating_sub(1);
        Error::format(msg::BrokenPickle { at }).remedy(msg::SaveStateDict)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| self.broken())?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.broken())
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Text up to the end of the line.
    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(256).position(|byte| *byte == b'\n');
        let length = length.ok_or_else(|| self.broken())?;
        let taken = self.take(length + 1)?;
        std::str::from_utf8(&taken[..length]).map_err(|_| self.broken())
    }

    fn text(&mut self, length: usize) -> Result<()> {
        let taken = self.take(length)?;
        let text = std::str::from_utf8(taken).map_err(|_| self.broken())?;
        self.push(Value::Text(Rc::from(text)))
    }

    /// LONG1: an integer of so many bytes, the lowest first, in two's complement.
    fn long(&mut self) -> Result<()> {
        let length = self.byte()?;
        let taken = self.take(usize::from(length))?;
        if taken.len() > 8 {
            return Err(self.broken());
        }
        let is_negative = taken.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut bytes = [if is_negative { 0xff } else { 0 }; 8];
        bytes[..taken.len()].copy_from_slice(taken);
        self.push(Value::Integer(i64::from_le_bytes(bytes)))
    }

    /// Counts a value.
    fn spend(&mut self) -> Result<()> {
        let left = self.values_left.checked_sub(1);
        self.values_left = left.ok_or_else(|| Error::format(msg::TooManyValues { most: MOST_VALUES }))?;
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.spend()?;
        self.stack.push(value);
        Ok(())
    }

    /// The value on top, which no mark separates.
    fn pop(&mut self) -> Result<Value> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        let value = (self.stack.len() > lowest).then(|| self.stack.pop()).flatten();
        value.ok_or_else(|| self.broken())
    }

    /// All values from the last mark on.
    fn pop_marked(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| self.broken())?;
        Ok(self.stack.split_off(mark))
    }

    fn new_dict(&mut self) -> Result<()> {
        self.dicts.push(Vec::new());
        self.push(Value::Dict(self.dicts.len() - 1))
    }

    fn new_items(&mut self, items: Vec<Value>) -> Result<()> {
        self.items.push(items);
        self.push(Value::Items(self.items.len() - 1))
    }

    fn extend(&mut self, items: Vec<Value>) -> Result<()> {
        match self.stack.last() {
            Some(Value::Items(list)) => self.items[*list].extend(items),
            _ => return Err(self.broken()),
        }
        Ok(())
    }

    /// Sets keys and values in turn.
    fn set(&mut self, pairs: Vec<Value>) -> Result<()> {
        let Some(Value::Dict(dict)) = self.stack.last() else {
            return Err(self.broken());
        };
        let dict = *dict;
        let mut pairs = pairs.into_iter();
        while let Some(key) = pairs.next() {
            let value = pairs.next().ok_or_else(|| self.broken())?;
            self.dicts[dict].push((key, value));
        }
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<()> {
        self.spend()?;
        let value = self.stack.last().cloned().ok_or_else(|| self.broken())?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<()> {
        let value = self.memo.get(&place).cloned().ok_or_else(|| self.broken())?;
        self.push(value)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        match Global::named(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => {
                let name = format!("{module}.{name}");
                Err(Error::format(msg::PickleNamesProgram { name }).remedy(msg::ConvertToSafetensors))
            }
        }
    }

    /// BINPERSID: `('storage', TYPE, KEY, PLACE, COUNT)`.
    fn storage(&mut self) -> Result<()> {
        let Value::Items(tuple) = self.pop()? else {
            return Err(self.broken());
        };
        let [
            Value::Text(kind),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            Value::Text(_),
            Value::Integer(elements),
        ] = self.items[tuple].as_slice()
        else {
            return Err(self.broken());
        };
        let elements = u64::try_from(*elements).ok().filter(|_| &**kind == "storage");
        let Some(elements) = elements else {
            return Err(self.broken());
        };
        let (dtype, key) = (*dtype, key.clone());
        self.storages.push(PickledStorage { dtype, key, elements });
        self.push(Value::Storage(self.storages.len() - 1))
    }

    /// REDUCE: what a known name makes of a tuple.
    fn reduce(&mut self) -> Result<()> {
        let (Value::Items(tuple), Value::Global(global)) = (self.pop()?, self.pop()?) else {
            return Err(self.broken());
        };
        match (global, self.items[tuple].as_slice()) {
            (Global::OrderedDict, []) => self.new_dict(),
            (Global::RebuildParameter, [Value::Tensor(tensor), Value::Bool, _]) => {
                let tensor = Value::Tensor(*tensor);
                self.push(tensor)
            }
            // Storage, offset, sizes, strides, requires_grad, hooks; with other metadata numbers may mean something else.
            (
                Global::RebuildTensor,
                [
                    Value::Storage(storage),
                    Value::Integer(offset),
                    Value::Items(shape),
                    Value::Items(strides),
                    Value::Bool,
                    _,
                ],
            ) => {
                let tensor = self.tensor((*storage, *offset), (*shape, *strides));
                let tensor = tensor.ok_or_else(|| self.broken())?;
                if self.tensors.len() == MOST_TENSORS {
                    return Err(Error::format(msg::TooManyValues { most: MOST_TENSORS }));
                }
                self.tensors.push(tensor);
                self.push(Value::Tensor(self.tensors.len() - 1))
            }
            _ => Err(self.broken()),
        }
    }

    fn tensor(&self, (storage, offset): (usize, i64), (shape, strides): (usize, usize)) -> Option<PickledTensor> {
        let numbers = |items: usize| -> Option<Vec<u64>> {
            let items = Some(&self.items[items]).filter(|items| items.len() <= MOST_AXES)?;
            let number = |item: &Value| match item {
                Value::Integer(number) => u64::try_from(*number).ok(),
                _ => None,
            };
            items.iter().map(number).collect()
        };
        let (shape, strides) = (numbers(shape)?, numbers(strides)?);
        (shape.len() == strides.len()).then_some(PickledTensor {
            storage: self.storages[storage].clone(),
            offset: u64::try_from(offset).ok()?,
            shape,
            strides,
        })
    }

    /// BUILD: attributes of a dict, such as the versions of modules that a state_dict has. No tensor is among them.
    fn build(&mut self) -> Result<()> {
        match (self.pop()?, self.stack.last()) {
            (Value::Dict(_), Some(Value::Dict(_))) => Ok(()),
            _ => Err(self.broken()),
        }
    }
}
