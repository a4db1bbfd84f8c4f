//! Built-ins whose one call could take memory without bound. The engine checks its clock between
//! calls, not inside one, so the arguments are measured before the call is made.

use regorus::unstable::{Expr, Ref, Source, Span, BUILTINS};
use regorus::{Engine, Value};

/// Elements or bytes that one call may produce, roughly.
const OUTPUT_MAX: u64 = 16 << 20;
const ELEMENTS_MAX: u64 = 1 << 20;
const SHIFT_BITS_MAX: u64 = 1 << 16;
const FORMAT_WIDTH_MAX: u64 = 1 << 12;

type Guard = fn(&[Value]) -> Result<(), String>;

const GUARDED: &[(&str, u8, Guard)] = &[
    ("numbers.range", 2, range),
    ("numbers.range_step", 3, range),
    ("net.cidr_expand", 1, cidr_expand),
    ("bits.lsh", 2, shift),
    ("sprintf", 2, sprintf),
    ("replace", 3, replace),
    ("strings.replace_n", 2, total_size),
    ("concat", 2, concat),
    ("array.concat", 2, total_size),
    ("json.marshal", 1, total_size),
    ("json.marshal_with_options", 2, total_size),
    ("yaml.marshal", 1, total_size),
];

pub fn install(engine: &mut Engine) -> anyhow::Result<()> {
    let source = Source::from_contents("builtin".to_owned(), "x".to_owned())?;
    let span = Span { source, line: 1, col: 1, start: 0, end: 1 };
    for &(name, arity, guard) in GUARDED {
        let Some(&(call, _)) = BUILTINS.get(name) else {
            anyhow::bail!("the engine has no built-in {name}");
        };
        let span = span.clone();
        let params: Vec<Ref<Expr>> = (0..arity)
            .map(|_| Ref::new(Expr::Var { span: span.clone(), value: Value::Undefined, eidx: 0 }))
            .collect();
        let extension = move |args: Vec<Value>| {
            guard(&args).map_err(|why| anyhow::anyhow!("{name}: {why}"))?;
            // As elsewhere outside strict mode, a failed built-in is undefined.
            Ok(call(&span, &params, &args, false).unwrap_or(Value::Undefined))
        };
        engine.add_extension(name.to_owned(), arity, Box::new(extension))?;
    }
    Ok(())
}

fn bounded(amount: u64, limit: u64, what: &str) -> Result<(), String> {
    if amount > limit {
        return Err(format!("the result would exceed {limit} {what}"));
    }
    Ok(())
}

fn integer(value: &Value) -> Option<i128> {
    value.as_i128().ok()
}

fn range(args: &[Value]) -> Result<(), String> {
    let (Ok(from), Ok(to)) = (args[0].as_f64(), args[1].as_f64()) else {
        return Ok(());
    };
    let step = args.get(2).and_then(|v| v.as_f64().ok()).unwrap_or(1.0).abs();
    let elements = (to - from).abs() / step;
    if elements.is_nan() || elements > ELEMENTS_MAX as f64 {
        return Err(format!("the result would exceed {ELEMENTS_MAX} elements"));
    }
    Ok(())
}

fn cidr_expand(args: &[Value]) -> Result<(), String> {
    let Ok(cidr) = args[0].as_string() else {
        return Ok(());
    };
    let Some((address, prefix)) = cidr.split_once('/') else {
        return Ok(());
    };
    let width: u32 = if address.contains(':') { 128 } else { 32 };
    let host_bits = width.saturating_sub(prefix.parse().unwrap_or(width));
    bounded(u64::from(host_bits), u64::from(ELEMENTS_MAX.trailing_zeros()), "host bits")
}

fn shift(args: &[Value]) -> Result<(), String> {
    match integer(&args[1]) {
        Some(bits) if bits > i128::from(SHIFT_BITS_MAX) => {
            Err(format!("a shift by more than {SHIFT_BITS_MAX} bits"))
        }
        None if args[1].as_number().is_ok() => Err("the shift is out of range".to_owned()),
        _ => Ok(()),
    }
}

fn sprintf(args: &[Value]) -> Result<(), String> {
    let Ok(format) = args[0].as_string() else {
        return Ok(());
    };
    for digits in format.split(|c: char| !c.is_ascii_digit()).filter(|d| !d.is_empty()) {
        let after_verb_start = format.contains('%');
        if after_verb_start && digits.parse().unwrap_or(u64::MAX) > FORMAT_WIDTH_MAX {
            return Err(format!("a width above {FORMAT_WIDTH_MAX}"));
        }
    }
    total_size(args)
}

fn replace(args: &[Value]) -> Result<(), String> {
    let [Value::String(text), Value::String(old), Value::String(new)] = args else {
        return Ok(());
    };
    let places = if old.is_empty() { text.len() + 1 } else { text.len() / old.len() };
    let grown = (places as u64).saturating_mul(new.len() as u64);
    bounded(grown.saturating_add(text.len() as u64), OUTPUT_MAX, "bytes")
}

fn concat(args: &[Value]) -> Result<(), String> {
    let pieces = match &args[1] {
        Value::Array(items) => items.len() as u64,
        Value::Set(items) => items.len() as u64,
        _ => 0,
    };
    let glue = args[0].as_string().map_or(0, |s| s.len() as u64);
    bounded(pieces.saturating_mul(glue).saturating_add(size(&args[1])), OUTPUT_MAX, "bytes")
}

fn total_size(args: &[Value]) -> Result<(), String> {
    let total = args.iter().fold(0u64, |sum, value| sum.saturating_add(size(value)));
    bounded(total, OUTPUT_MAX, "bytes")
}

/// Bytes of strings plus one per element. Stops counting soon after the bound is passed, because
/// shared values can be exponentially larger than the memory that they take.
fn size(value: &Value) -> u64 {
    let mut total = 0u64;
    let mut pending = vec![value];
    while let Some(next) = pending.pop() {
        total += 1;
        if total > OUTPUT_MAX {
            break;
        }
        match next {
            Value::String(text) => total += text.len() as u64,
            Value::Array(items) => pending.extend(items.iter()),
            Value::Set(items) => pending.extend(items.iter()),
            Value::Object(items) => pending.extend(items.iter().flat_map(|(k, v)| [k, v])),
            _ => {}
        }
    }
    total
}
