//! Running a chat template over a conversation: statements, expressions and names, with Python's meaning.
//!
//! Each step, each byte that is made and each level of recursion is counted, so that a template from a stranger ends, and
//! takes no more memory and stack than a conversation is worth. While it runs, it is noted which part of the text was written
//! in the round of which message; so answers are found without laying the conversation out again.

use super::syntax::{Arguments, Comparison, Expression, For, Literal, Node, Operator, Statement, Target, Tree};
use super::value::{Bounded, Callable, Loop, Named, Value, compare, equals};
use super::{Fault, MARKS};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Levels of blocks, expressions and macros in each other. A browser's stack of 1 MB has room for them.
const MOST_LEVELS: usize = 180;
/// The bytes that an item of a list is counted as.
const ITEM_BYTES: usize = 32;

pub(super) type Outcome = Result<Value, Fault>;

/// What one run may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Steps.
    pub steps: u64,
    /// Bytes of all values that are made.
    pub bytes: usize,
    /// Bytes of the text.
    pub output: usize,
}

/// Names and their values.
pub(super) struct Scope {
    values: RefCell<Named>,
    parent: Option<Rc<Self>>,
}

impl Scope {
    pub fn new(parent: Option<Rc<Self>>) -> Rc<Self> {
        Rc::new(Self {
            values: RefCell::new(Vec::new()),
            parent,
        })
    }

    pub fn set(&self, name: &Arc<str>, value: Value) {
        let mut values = self.values.borrow_mut();
        match values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => values.push((name.clone(), value)),
        }
    }

    fn find(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            let values = scope.values.borrow();
            if let Some((_, value)) = values.iter().find(|(known, _)| &**known == name) {
                return Some(value.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }
}

/// What is given to a function, a filter or a test.
#[derive(Default)]
pub(super) struct Given {
    pub places: Vec<Value>,
    pub names: Named,
}

impl Given {
    /// The argument at a place, or of a name. None stands for one that is left out.
    pub fn take(&mut self, place: usize, name: &str) -> Option<Value> {
        if let Some(value) = self.places.get_mut(place) {
            return Some(std::mem::replace(value, Value::None));
        }
        let at = self.names.iter().position(|(known, _)| &**known == name)?;
        Some(self.names.swap_remove(at).1)
    }

    /// Refuses names that nobody took, and more than `most` places.
    pub fn finish(self, most: usize) -> Result<(), Fault> {
        if let Some((name, _)) = self.names.first() {
            return Err(Fault::new(format!("an argument named '{name}' is not supported")));
        }
        match self.places.len() <= most {
            true => Ok(()),
            false => Err(Fault::new(format!("{} arguments are too many", self.places.len()))),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// A run of a template.
pub(super) struct Renderer<'t> {
    tree: &'t Tree,
    limits: Limits,
    levels: usize,
    /// The text so far; of a macro or a block that is kept, its own.
    pub text: String,
    captures: usize,
    /// The parts of the text in `{% generation %}`.
    pub spans: Vec<Range<usize>>,
    open: Option<usize>,
    /// Of each message, the parts of the text that were written in its round of a loop.
    pub rounds: Vec<Vec<Range<usize>>>,
    /// The number that a loop counts, and whether the message of this number was asked for.
    counted: Option<(i128, bool)>,
    /// Scopes that hold what holds them; they are emptied at the end.
    cycles: Vec<Rc<Scope>>,
    /// The date, as seconds since 1970.
    pub now: i64,
}

impl<'t> Renderer<'t> {
    pub fn new(tree: &'t Tree, limits: Limits, messages: usize, now: i64) -> Self {
        Self {
            tree,
            limits,
            levels: 0,
            text: String::new(),
            captures: 0,
            spans: Vec::new(),
            open: None,
            rounds: vec![Vec::new(); messages],
            counted: None,
            cycles: Vec::new(),
            now,
        }
    }

    /// Runs the template on these names.
    pub fn run(&mut self, names: Vec<(&str, Value)>) -> Result<(), Fault> {
        let scope = Scope::new(None);
        for (name, value) in names {
            scope.set(&name.into(), value);
        }
        let result = self.body(&self.tree.body, &Scope::new(Some(scope)));
        for scope in self.cycles.drain(..) {
            scope.values.take();
        }
        result.map(drop)
    }

    /// Counts steps.
    pub fn spend(&mut self, steps: u64) -> Result<(), Fault> {
        match self.limits.steps.checked_sub(steps) {
            Some(left) => {
                self.limits.steps = left;
                Ok(())
            }
            None => Err(Fault::endless()),
        }
    }

    /// Counts bytes that are about to be made.
    pub fn pay(&mut self, bytes: usize) -> Result<(), Fault> {
        self.spend(bytes as u64 / 64)?;
        match self.limits.bytes.checked_sub(bytes) {
            Some(left) => {
                self.limits.bytes = left;
                Ok(())
            }
            None => Err(Fault::endless()),
        }
    }

    /// A new text.
    pub fn made(&mut self, text: impl Into<Arc<str>>) -> Outcome {
        let text = text.into();
        self.pay(text.len())?;
        Ok(Value::Text(text))
    }

    /// A text that is written with what room there is.
    pub fn written(&mut self, write: impl FnOnce(&mut Bounded) -> Result<(), Fault>) -> Result<String, Fault> {
        let mut bounded = Bounded::new(self.limits.bytes);
        write(&mut bounded)?;
        self.pay(bounded.text.len())?;
        Ok(bounded.text)
    }

    pub fn list(&mut self, items: Vec<Value>) -> Outcome {
        self.pay(items.len() * ITEM_BYTES)?;
        Value::list(items)
    }

    pub fn tuple(&mut self, items: Vec<Value>) -> Outcome {
        self.pay(items.len() * ITEM_BYTES)?;
        Value::tuple(items)
    }

    /// Python's `str`.
    pub fn shown(&mut self, value: &Value) -> Result<Arc<str>, Fault> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            other => Ok(self.written(|text| text.shown(other))?.into()),
        }
    }

    pub fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, Fault> {
        self.spend(left.size().min(right.size()))?;
        Ok(equals(left, right))
    }

    /// Its items, as a loop goes through them.
    pub fn items(&mut self, value: &Value) -> Result<Vec<Value>, Fault> {
        let items = match value {
            Value::Undefined(_) => Vec::new(),
            Value::List(list) => {
                self.pay(list.items.len() * ITEM_BYTES)?;
                list.items.clone()
            }
            Value::Dict(dict) => {
                self.pay(dict.items.len() * ITEM_BYTES)?;
                dict.items.iter().map(|(key, _)| key.clone()).collect()
            }
            Value::Text(text) => {
                self.pay(text.len() * ITEM_BYTES)?;
                text.chars().map(|letter| Value::text(letter.to_string())).collect()
            }
            other => return Err(Fault::new(format!("{} has no items", other.kind()))),
        };
        Ok(items)
    }

    fn write(&mut self, text: &str) -> Result<(), Fault> {
        self.pay(text.len())?;
        if self.captures > 0 {
            self.text.push_str(text);
            return Ok(());
        }
        if self.text.len() + text.len() > self.limits.output {
            return Err(Fault::endless());
        }
        // Marks come out of macros and blocks that were kept.
        for piece in text.split_inclusive(MARKS) {
            match piece.strip_suffix(MARKS) {
                None => self.text.push_str(piece),
                Some(before) => {
                    self.text.push_str(before);
                    self.mark(piece.ends_with(MARKS[0]))?;
                }
            }
        }
        Ok(())
    }

    /// A part in `{% generation %}` begins or ends.
    fn mark(&mut self, begins: bool) -> Result<(), Fault> {
        if self.captures > 0 {
            self.text.push(MARKS[usize::from(!begins)]);
            return Ok(());
        }
        match (begins, self.open.take()) {
            (true, None) => self.open = Some(self.text.len()),
            (false, Some(start)) => self.spans.push(start..self.text.len()),
            (false, None) => {}
            (true, Some(_)) => return Err(Fault::new("has nested {% generation %} blocks")),
        }
        Ok(())
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.levels >= MOST_LEVELS {
            return Err(Fault::new("nests blocks, expressions and macros without end"));
        }
        self.levels += 1;
        let result = run(self);
        self.levels -= 1;
        result
    }

    /// What a body writes.
    #[inline(never)]
    fn captured(&mut self, body: &'t [Statement], scope: &Rc<Scope>) -> Result<String, Fault> {
        let outer = std::mem::take(&mut self.text);
        self.captures += 1;
        // A macro's frames are larger than an expression's.
        let result = self.deeper(|run| run.deeper(|run| run.body(body, scope)));
        self.captures -= 1;
        let inner = std::mem::replace(&mut self.text, outer);
        result.map(|_| inner)
    }

    fn body(&mut self, statements: &'t [Statement], scope: &Rc<Scope>) -> Result<Flow, Fault> {
        self.deeper(|run| {
            for statement in statements {
                run.spend(1)?;
                let flow = run.statement(&statement.node, scope);
                let flow = flow.map_err(|fault| fault.line(statement.line))?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn statement(&mut self, node: &'t Node, scope: &Rc<Scope>) -> Result<Flow, Fault> {
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Print(expression) => self.print(expression, scope)?,
            Node::For(parts) => return self.for_loop(parts, scope),
            Node::If(cases, otherwise) => {
                for (condition, body) in cases {
                    if self.eval(condition, scope)?.is_true() {
                        return self.body(body, scope);
                    }
                }
                return self.body(otherwise, scope);
            }
            Node::Set(target, expression) => {
                let value = self.eval(expression, scope)?;
                self.set(target, value, scope)?;
            }
            Node::SetBlock(target, filters, body) => {
                let text = self.captured(body, &Scope::new(Some(scope.clone())))?;
                let mut value = Value::text(text);
                if let Some(filters) = filters {
                    value = self.filtered(filters, Some(value), scope)?;
                }
                self.set(target, value, scope)?;
            }
            Node::Filter(filters, body) => {
                let text = self.captured(body, &Scope::new(Some(scope.clone())))?;
                let value = self.filtered(filters, Some(Value::text(text)), scope)?;
                let text = self.shown(&value)?;
                self.write(&text)?;
            }
            Node::With(values, body) => {
                let inner = Scope::new(Some(scope.clone()));
                for (target, expression) in values {
                    let value = self.eval(expression, &inner)?;
                    self.set(target, value, &inner)?;
                }
                return self.body(body, &inner);
            }
            Node::Macro(number) => {
                let function = Callable::Macro(*number, scope.clone());
                scope.set(&self.tree.macros[*number].name, Value::Callable(Rc::new(function)));
                self.cycles.push(scope.clone());
            }
            Node::CallBlock(call, number) => self.call_block(call, *number, scope)?,
            Node::Generation(body) => {
                self.mark(true)?;
                let flow = self.body(body, &Scope::new(Some(scope.clone())))?;
                self.mark(false)?;
                return Ok(flow);
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    #[inline(never)]
    fn print(&mut self, expression: &'t Expression, scope: &Rc<Scope>) -> Result<(), Fault> {
        let value = self.eval(expression, scope)?;
        let text = self.shown(&value)?;
        self.write(&text)
    }

    #[inline(never)]
    fn call_block(&mut self, call: &'t Expression, number: usize, scope: &Rc<Scope>) -> Result<(), Fault> {
        let Expression::Call(called, arguments) = call else {
            return Err(Fault::new("{% call %} calls nothing"));
        };
        let called = self.eval(called, scope)?;
        let mut given = self.arguments(arguments, scope)?;
        let caller = Callable::Macro(number, scope.clone());
        given.names.push(("caller".into(), Value::Callable(Rc::new(caller))));
        let value = self.call(&called, given)?;
        let text = self.shown(&value)?;
        self.write(&text)
    }

    fn set(&mut self, target: &Target, value: Value, scope: &Rc<Scope>) -> Result<(), Fault> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Names(targets) => {
                let items = self.items(&value)?;
                if items.len() != targets.len() {
                    let what = format!("{} values do not fit {} names", items.len(), targets.len());
                    return Err(Fault::new(what));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.set(target, item, scope)?;
                }
            }
            Target::Attribute(name, attribute) => {
                let Some(Value::Namespace(namespace)) = scope.find(name) else {
                    return Err(Fault::new(format!(
                        "'{name}' is no namespace, so that nothing of it can be set"
                    )));
                };
                value.check_kept()?;
                let mut items = namespace.borrow_mut();
                match items.iter_mut().find(|(known, _)| known == attribute) {
                    Some((_, old)) => *old = value,
                    None => items.push((attribute.clone(), value)),
                }
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn for_loop(&mut self, parts: &'t For, scope: &Rc<Scope>) -> Result<Flow, Fault> {
        let value = self.eval(&parts.items, scope)?;
        let mut items = self.items(&value)?;
        if let Some(condition) = &parts.condition {
            let mut chosen = Vec::new();
            for item in items {
                let inner = Scope::new(Some(scope.clone()));
                self.set(&parts.target, item.clone(), &inner)?;
                if self.eval(condition, &inner)?.is_true() {
                    chosen.push(item);
                }
            }
            items = chosen;
        }
        if items.is_empty() {
            return self.body(&parts.otherwise, &Scope::new(Some(scope.clone())));
        }
        let depth = match scope.find("loop") {
            Some(Value::Loop(outer)) => outer.depth + 1,
            _ => 1,
        };
        let state = Rc::new(Loop {
            items,
            index: Cell::new(0),
            depth,
            changed: RefCell::new(None),
        });
        for (index, item) in state.items.iter().enumerate() {
            state.index.set(index);
            let inner = Scope::new(Some(scope.clone()));
            inner.set(&"loop".into(), Value::Loop(state.clone()));
            self.set(&parts.target, item.clone(), &inner)?;
            let start = self.text.len();
            let outer = self.counted;
            if let Value::Int(number) = item {
                self.counted = Some((*number, false));
            }
            let flow = self.body(&parts.body, &inner)?;
            let counted = std::mem::replace(&mut self.counted, outer);
            let message = match (item, counted) {
                (Value::Dict(dict), _) => dict.message,
                (Value::Int(_), Some((number, true))) => usize::try_from(number).ok(),
                _ => None,
            };
            if let (Some(message), 0, true) = (message, self.captures, self.text.len() > start)
                && let Some(rounds) = self.rounds.get_mut(message)
            {
                rounds.push(start..self.text.len());
            }
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// The value of an expression.
    pub fn eval(&mut self, expression: &'t Expression, scope: &Rc<Scope>) -> Outcome {
        self.spend(1)?;
        self.deeper(|run| run.value(expression, scope))
    }

    fn value(&mut self, expression: &'t Expression, scope: &Rc<Scope>) -> Outcome {
        match expression {
            Expression::Literal(literal) => Ok(match literal {
                Literal::None => Value::None,
                Literal::Bool(truth) => Value::Bool(*truth),
                Literal::Int(number) => Value::Int(*number),
                Literal::Float(number) => Value::Float(*number),
                Literal::Text(text) => Value::Text(text.clone()),
            }),
            Expression::Name(name) => Ok(self.name(name, scope)),
            Expression::List(items) => {
                let items = self.all(items, scope)?;
                self.list(items)
            }
            Expression::Tuple(items) => {
                let items = self.all(items, scope)?;
                self.tuple(items)
            }
            Expression::Dict(items) => self.dict(items, scope),
            Expression::Not(inner) => Ok(Value::Bool(!self.eval(inner, scope)?.is_true())),
            Expression::Negative(inner) | Expression::Positive(inner) => {
                let value = self.eval(inner, scope)?;
                let is_negative = matches!(expression, Expression::Negative(_));
                match (&value, value.as_int()) {
                    (Value::Float(number), _) => Ok(Value::Float(if is_negative { -number } else { *number })),
                    (_, Some(number)) => Ok(Value::Int(if is_negative { number.wrapping_neg() } else { number })),
                    _ => Err(unsuited("-", &value)),
                }
            }
            Expression::Arithmetic(operator, operands) => self.arithmetic(*operator, operands, scope),
            Expression::Concatenate(parts) => self.concatenate(parts, scope),
            Expression::Compare(first, others) => self.comparison(first, others, scope),
            Expression::And(pair) => {
                let left = self.eval(&pair[0], scope)?;
                match left.is_true() {
                    true => self.eval(&pair[1], scope),
                    false => Ok(left),
                }
            }
            Expression::Or(pair) => {
                let left = self.eval(&pair[0], scope)?;
                match left.is_true() {
                    true => Ok(left),
                    false => self.eval(&pair[1], scope),
                }
            }
            Expression::Choice(parts) => match (self.eval(&parts.0, scope)?.is_true(), &parts.2) {
                (true, _) => self.eval(&parts.1, scope),
                (false, Some(otherwise)) => self.eval(otherwise, scope),
                (false, None) => Ok(Value::undefined()),
            },
            Expression::Attribute(inner, name) => {
                let value = self.eval(inner, scope)?;
                self.attribute(&value, name)
            }
            Expression::Item(pair) => {
                let value = self.eval(&pair[0], scope)?;
                let key = self.eval(&pair[1], scope)?;
                self.item(&value, &key)
            }
            Expression::Slice(parts) => self.slice(parts, scope),
            Expression::Call(called, arguments) => self.call_expression(called, arguments, scope),
            Expression::Filter(..) => self.filtered(expression, None, scope),
            Expression::Test(inner, name, arguments) => self.test_expression(inner, name, arguments, scope),
        }
    }

    fn name(&mut self, name: &Arc<str>, scope: &Rc<Scope>) -> Value {
        const GLOBALS: [&str; 5] = ["range", "dict", "namespace", "raise_exception", "strftime_now"];
        if let Some(value) = scope.find(name) {
            return value;
        }
        match GLOBALS.iter().find(|global| **global == &**name) {
            Some(global) => Value::Callable(Rc::new(Callable::Global(global))),
            None => Value::Undefined(name.clone()),
        }
    }

    #[inline(never)]
    fn all(&mut self, expressions: &'t [Expression], scope: &Rc<Scope>) -> Result<Vec<Value>, Fault> {
        expressions
            .iter()
            .map(|expression| self.eval(expression, scope))
            .collect()
    }

    #[inline(never)]
    fn dict(&mut self, items: &'t [(Expression, Expression)], scope: &Rc<Scope>) -> Outcome {
        let mut dict: Vec<(Value, Value)> = Vec::with_capacity(items.len());
        for (key, value) in items {
            let (key, value) = (self.eval(key, scope)?, self.eval(value, scope)?);
            self.spend(dict.len() as u64 / 4)?;
            match dict.iter_mut().find(|(known, _)| equals(known, &key)) {
                Some((_, old)) => *old = value,
                None => dict.push((key, value)),
            }
        }
        self.pay(2 * dict.len() * ITEM_BYTES)?;
        Value::dict(dict, None)
    }

    #[inline(never)]
    fn concatenate(&mut self, parts: &'t [Expression], scope: &Rc<Scope>) -> Outcome {
        let mut whole = String::new();
        for part in parts {
            let value = self.eval(part, scope)?;
            let text = self.shown(&value)?;
            self.pay(text.len())?;
            whole.push_str(&text);
        }
        Ok(Value::text(whole))
    }

    #[inline(never)]
    fn comparison(
        &mut self,
        first: &'t Expression,
        others: &'t [(Comparison, Expression)],
        scope: &Rc<Scope>,
    ) -> Outcome {
        let mut left = self.eval(first, scope)?;
        for (comparison, right) in others {
            let right = self.eval(right, scope)?;
            let holds = match comparison {
                Comparison::Equal => self.equal(&left, &right)?,
                Comparison::NotEqual => !self.equal(&left, &right)?,
                Comparison::In => self.contains(&right, &left)?,
                Comparison::NotIn => !self.contains(&right, &left)?,
                ordered => {
                    self.spend(left.size().min(right.size()))?;
                    let order = compare(&left, &right)?;
                    match ordered {
                        Comparison::Less => order.is_lt(),
                        Comparison::LessOrEqual => order.is_le(),
                        Comparison::Greater => order.is_gt(),
                        _ => order.is_ge(),
                    }
                }
            };
            if !holds {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// Python's `in`.
    pub fn contains(&mut self, whole: &Value, part: &Value) -> Result<bool, Fault> {
        self.spend(whole.size())?;
        match (whole, part) {
            (Value::Undefined(_), _) => Ok(false),
            (Value::Text(whole), Value::Text(part)) => Ok(whole.contains(&**part)),
            (Value::List(list), part) => Ok(list.items.iter().any(|item| equals(item, part))),
            (Value::Dict(dict), part) => Ok(dict.get(part).is_some()),
            _ => Err(Fault::new(format!("{} cannot be in {}", part.kind(), whole.kind()))),
        }
    }

    #[inline(never)]
    fn arithmetic(&mut self, operator: Operator, operands: &'t [Expression; 2], scope: &Rc<Scope>) -> Outcome {
        let (left, right) = (self.eval(&operands[0], scope)?, self.eval(&operands[1], scope)?);
        match (operator, &left, &right) {
            (Operator::Add, Value::Text(left), Value::Text(right)) => {
                self.pay(left.len() + right.len())?;
                return Ok(Value::text([&**left, &**right].concat()));
            }
            (Operator::Add, Value::List(first), Value::List(second)) if first.is_tuple == second.is_tuple => {
                self.pay((first.items.len() + second.items.len()) * ITEM_BYTES)?;
                let items = [&first.items[..], &second.items[..]].concat();
                return match first.is_tuple {
                    true => Value::tuple(items),
                    false => Value::list(items),
                };
            }
            (Operator::Multiply, Value::Text(_) | Value::List(_), times) if times.as_int().is_some() => {
                return self.repeated(&left, times);
            }
            (Operator::Multiply, times, Value::Text(_) | Value::List(_)) if times.as_int().is_some() => {
                return self.repeated(&right, times);
            }
            (Operator::Remainder, Value::Text(form), _) => return self.percent(form, &right),
            _ => {}
        }
        number(operator, &left, &right)
    }

    /// A text or a list several times.
    fn repeated(&mut self, value: &Value, times: &Value) -> Outcome {
        let times = usize::try_from(times.as_int().unwrap_or(0).max(0)).map_err(|_| Fault::endless())?;
        let bytes = |length: usize| length.checked_mul(times).ok_or_else(Fault::endless);
        match value {
            Value::Text(text) => {
                self.pay(bytes(text.len())?)?;
                Ok(Value::text(text.repeat(times)))
            }
            Value::List(list) => {
                self.pay(bytes(list.items.len() * ITEM_BYTES)?)?;
                let mut items = Vec::with_capacity(list.items.len() * times);
                (0..times).for_each(|_| items.extend_from_slice(&list.items));
                match list.is_tuple {
                    true => Value::tuple(items),
                    false => Value::list(items),
                }
            }
            other => Err(unsuited("*", other)),
        }
    }

    /// An attribute: a method, or an entry of a dictionary.
    pub fn attribute(&mut self, value: &Value, name: &Arc<str>) -> Outcome {
        self.spend(value_width(value))?;
        if let Value::Undefined(name) = value {
            return Err(undefined(name));
        }
        if super::builtins::is_method(value, name) {
            return Ok(Value::Callable(Rc::new(Callable::Method(value.clone(), name.clone()))));
        }
        if let Value::Loop(state) = value {
            return Ok(loop_attribute(state, name));
        }
        Ok(value.get(name).unwrap_or_else(|| Value::Undefined(name.clone())))
    }

    /// An item: an entry of a dictionary, or a method.
    pub fn item(&mut self, value: &Value, key: &Value) -> Outcome {
        self.spend(value_width(value))?;
        let found = match (value, key) {
            (Value::Undefined(name), _) => return Err(undefined(name)),
            (Value::Dict(dict), key) => dict.get(key).cloned(),
            (Value::List(list), key) if key.as_int().is_some() => {
                let item = place(key, list.items.len()).map(|at| list.items[at].clone());
                if let (Some(Value::Dict(dict)), Some((number, _))) = (&item, self.counted)
                    && dict.message.is_some_and(|message| message as i128 == number)
                {
                    self.counted = Some((number, true));
                }
                item
            }
            (Value::Text(text), key) if key.as_int().is_some() => {
                self.spend(text.len() as u64 / 8)?;
                let at = place(key, text.chars().count());
                at.and_then(|at| text.chars().nth(at))
                    .map(|letter| Value::text(letter.to_string()))
            }
            _ => None,
        };
        match (found, key) {
            (Some(found), _) => Ok(found),
            (None, Value::Text(name)) => self.attribute(value, name),
            (None, _) => Ok(Value::undefined()),
        }
    }

    #[inline(never)]
    fn slice(&mut self, parts: &'t (Expression, [Option<Expression>; 3]), scope: &Rc<Scope>) -> Outcome {
        let value = self.eval(&parts.0, scope)?;
        let mut bounds = [None; 3];
        for (bound, expression) in bounds.iter_mut().zip(&parts.1) {
            let Some(expression) = expression else { continue };
            *bound = match self.eval(expression, scope)? {
                Value::None => None,
                value => Some(value.as_int().ok_or_else(|| unsuited("[:]", &value))?),
            };
        }
        match &value {
            Value::List(list) => {
                let places = places(bounds, list.items.len())?;
                let items = places.into_iter().map(|at| list.items[at].clone()).collect();
                match list.is_tuple {
                    true => self.tuple(items),
                    false => self.list(items),
                }
            }
            Value::Text(text) => {
                self.pay(text.len() * 4)?;
                let letters: Vec<char> = text.chars().collect();
                let text: String = places(bounds, letters.len())?
                    .into_iter()
                    .map(|at| letters[at])
                    .collect();
                self.made(text)
            }
            Value::Undefined(name) => Err(undefined(name)),
            other => Err(unsuited("[:]", other)),
        }
    }

    #[inline(never)]
    fn call_expression(&mut self, called: &'t Expression, arguments: &'t Arguments, scope: &Rc<Scope>) -> Outcome {
        let called = self.eval(called, scope)?;
        let given = self.arguments(arguments, scope)?;
        self.call(&called, given)
    }

    fn arguments(&mut self, arguments: &'t Arguments, scope: &Rc<Scope>) -> Result<Given, Fault> {
        let places = self.all(&arguments.places, scope)?;
        let mut names = Vec::with_capacity(arguments.names.len());
        for (name, expression) in &arguments.names {
            names.push((name.clone(), self.eval(expression, scope)?));
        }
        Ok(Given { places, names })
    }

    fn call(&mut self, called: &Value, given: Given) -> Outcome {
        match called {
            Value::Callable(function) => match &**function {
                Callable::Macro(number, scope) => self.call_macro(*number, scope, given),
                Callable::Method(value, name) => self.method(value, name, given),
                Callable::Global(name) => self.global(name, given),
            },
            Value::Undefined(name) => Err(undefined(name)),
            other => Err(Fault::new(format!("{} cannot be called", other.kind()))),
        }
    }

    #[inline(never)]
    fn call_macro(&mut self, number: usize, scope: &Rc<Scope>, mut given: Given) -> Outcome {
        let tree = self.tree;
        let called = &tree.macros[number];
        let inner = Scope::new(Some(scope.clone()));
        for (place, (name, default)) in called.parameters.iter().enumerate() {
            let value = match (given.take(place, name), default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(default, &inner)?,
                (None, None) => Value::Undefined(name.clone()),
            };
            inner.set(name, value);
        }
        if let Some(caller) = given.take(usize::MAX, "caller") {
            inner.set(&"caller".into(), caller);
        }
        given.finish(called.parameters.len())?;
        let text = self.captured(&called.body, &inner)?;
        Ok(Value::text(text))
    }

    /// Filters of an expression, or of `inner`.
    #[inline(never)]
    fn filtered(&mut self, expression: &'t Expression, inner: Option<Value>, scope: &Rc<Scope>) -> Outcome {
        let Expression::Filter(before, name, arguments) = expression else {
            return self.eval(expression, scope);
        };
        let value = match (before, inner) {
            (Some(before), Some(inner)) => self.deeper(|run| run.filtered(before, Some(inner), scope))?,
            (Some(before), None) => self.eval(before, scope)?,
            (None, inner) => inner.unwrap_or_else(Value::undefined),
        };
        let given = self.arguments(arguments, scope)?;
        self.filter(name, value, given)
    }

    #[inline(never)]
    fn test_expression(
        &mut self,
        inner: &'t Expression,
        name: &str,
        arguments: &'t Arguments,
        scope: &Rc<Scope>,
    ) -> Outcome {
        let value = self.eval(inner, scope)?;
        let given = self.arguments(arguments, scope)?;
        self.test(name, &value, given).map(Value::Bool)
    }

    /// Bytes that may still be made.
    pub fn room(&self) -> usize {
        self.limits.bytes
    }
}

pub(super) fn undefined(name: &str) -> Fault {
    match name {
        "" => Fault::new("an undefined value is used"),
        name => Fault::new(format!("'{name}' is undefined")),
    }
}

pub(super) fn unsuited(what: &str, value: &Value) -> Fault {
    match value {
        Value::Undefined(name) => undefined(name),
        other => Fault::new(format!("{} does not go with {what}", other.kind())),
    }
}

/// Steps to find an entry.
fn value_width(value: &Value) -> u64 {
    match value {
        Value::Dict(dict) => dict.items.len() as u64 / 8,
        _ => 0,
    }
}

/// A place from the start or, negative, from the end.
fn place(key: &Value, length: usize) -> Option<usize> {
    let at = key.as_int()?;
    let at = if at < 0 { at.checked_add(length as i128)? } else { at };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// The places of a slice `[start:stop:step]`.
fn places([start, stop, step]: [Option<i128>; 3], length: usize) -> Result<Vec<usize>, Fault> {
    let (length, step) = (length as i128, step.unwrap_or(1));
    if step == 0 {
        return Err(Fault::new("a slice has the step 0"));
    }
    let (least, most) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |bound: Option<i128>, default: i128| match bound {
        None => default,
        Some(at) if at < 0 => at.saturating_add(length).clamp(least, most),
        Some(at) => at.clamp(least, most),
    };
    let (first, last) = if step > 0 { (0, length) } else { (length - 1, -1) };
    let (mut at, stop) = (bound(start, first), bound(stop, last));
    let mut places = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        places.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(places)
}

fn loop_attribute(state: &Loop, name: &Arc<str>) -> Value {
    let (index, length) = (state.index.get(), state.items.len());
    let number = |number: usize| Value::Int(number as i128);
    let neighbour = |at: Option<usize>| at.and_then(|at| state.items.get(at)).cloned();
    match &**name {
        "index" => number(index + 1),
        "index0" => number(index),
        "revindex" => number(length - index),
        "revindex0" => number(length - index - 1),
        "first" => Value::Bool(index == 0),
        "last" => Value::Bool(index + 1 == length),
        "length" => number(length),
        "depth" => number(state.depth),
        "depth0" => number(state.depth - 1),
        "previtem" => neighbour(index.checked_sub(1)).unwrap_or_else(Value::undefined),
        "nextitem" => neighbour(index.checked_add(1)).unwrap_or_else(Value::undefined),
        _ => Value::Undefined(name.clone()),
    }
}

/// Python's arithmetic on numbers.
pub(super) fn number(operator: Operator, left: &Value, right: &Value) -> Outcome {
    let sign = match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::FloorDivide => "//",
        Operator::Remainder => "%",
        Operator::Power => "**",
    };
    let none = || match left {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => unsuited(sign, right),
        _ => unsuited(sign, left),
    };
    let by_zero = || Fault::new("divides by zero");
    let too_large = || Fault::new("has a number that is too large");
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        let floor = || {
            let (quotient, rest) = (left.checked_div(right)?, left.checked_rem(right)?);
            let is_between = rest != 0 && (rest < 0) != (right < 0);
            Some((
                quotient - i128::from(is_between),
                if is_between { rest + right } else { rest },
            ))
        };
        let result = match operator {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            Operator::FloorDivide | Operator::Remainder | Operator::Divide if right == 0 => return Err(by_zero()),
            Operator::Divide => return Ok(Value::Float(left as f64 / right as f64)),
            Operator::FloorDivide => floor().map(|(quotient, _)| quotient),
            Operator::Remainder => floor().map(|(_, rest)| rest),
            Operator::Power if right < 0 => return Ok(Value::Float((left as f64).powf(right as f64))),
            Operator::Power => u32::try_from(right).ok().and_then(|right| left.checked_pow(right)),
        };
        return result.map(Value::Int).ok_or_else(too_large);
    }
    let (left, right) = (left.as_float().ok_or_else(none)?, right.as_float().ok_or_else(none)?);
    Ok(Value::Float(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide | Operator::FloorDivide | Operator::Remainder if right == 0.0 => return Err(by_zero()),
        Operator::Divide => left / right,
        Operator::FloorDivide => (left / right).floor(),
        Operator::Remainder => left - (left / right).floor() * right,
        Operator::Power => left.powf(right),
    }))
}
