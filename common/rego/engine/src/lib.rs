//! The C interface of the Rego engine; ../rego_c.h is its contract. No panic leaves this crate.

mod analysis;
mod builtins;
mod diagnostic;
mod index;
mod nesting;
mod policy;
mod scan;
mod schema;
mod slice;
mod tree;
mod undefined;

use policy::{Document, Failure, Limits, Outcome, Policy, Source};
use serde_json::{json, Value as Json};
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;
use std::time::Duration;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    data: *const u8,
    size: usize,
}

#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    size: usize,
}

#[repr(C)]
pub struct ModuleText {
    path: Bytes,
    text: Bytes,
}

#[repr(C)]
pub struct CLimits {
    eval_time_ms: u64,
    test_time_ms: u64,
    tests_time_ms: u64,
    module_bytes_max: u64,
    result_bytes_max: u64,
    diagnostics_max: u64,
    rule_depth_max: u64,
}

#[repr(i32)]
#[derive(Debug, PartialEq, Eq)]
pub enum Status {
    Ok = 0,
    Undefined = 1,
    Findings = 2,
    BadInput = 3,
    Evaluation = 4,
    Time = 5,
    TooLarge = 6,
    Internal = 7,
}

type Answer = (Status, Vec<u8>);

thread_local! {
    static PANIC_TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a panic said for the caller instead of writing it to standard error.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            PANIC_TEXT.with(|text| *text.borrow_mut() = info.to_string());
        }));
    });
}

fn guard(work: impl FnOnce() -> Answer) -> Answer {
    install_panic_hook();
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Dropping the payload could panic in its turn; it is a message, and leaks.
        std::mem::forget(payload);
        let text = PANIC_TEXT.with(|text| std::mem::take(&mut *text.borrow_mut()));
        (Status::Internal, format!("the Rego engine failed: {text}").into_bytes())
    })
}

/// # Safety
/// `bytes` points to `size` readable bytes, or `size` is 0.
unsafe fn slice<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.size == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(bytes.data, bytes.size) }
}

unsafe fn text<'a>(bytes: Bytes, what: &str) -> Result<&'a str, Answer> {
    std::str::from_utf8(unsafe { slice(bytes) })
        .map_err(|_| (Status::BadInput, format!("{what} is not valid UTF-8").into_bytes()))
}

/// # Safety
/// `out` is writable.
unsafe fn give(answer: Answer, out: *mut Buffer) -> Status {
    let (status, bytes) = answer;
    let bytes = bytes.into_boxed_slice();
    let size = bytes.len();
    let data = if size == 0 { std::ptr::null_mut() } else { Box::into_raw(bytes).cast::<u8>() };
    unsafe { out.write(Buffer { data, size }) };
    status
}

fn encode(value: &Json) -> Vec<u8> {
    value.to_string().into_bytes()
}

impl From<&CLimits> for Limits {
    fn from(limits: &CLimits) -> Self {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            eval_time: Duration::from_millis(limits.eval_time_ms),
            test_time: Duration::from_millis(limits.test_time_ms),
            tests_time: Duration::from_millis(limits.tests_time_ms),
            module_bytes_max: size(limits.module_bytes_max),
            result_bytes_max: size(limits.result_bytes_max),
            diagnostics_max: size(limits.diagnostics_max),
            rule_depth_max: size(limits.rule_depth_max),
        }
    }
}

unsafe fn sources<'a>(modules: *const ModuleText, count: usize) -> Result<Vec<Source<'a>>, Answer> {
    let modules =
        if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(modules, count) } };
    let mut sources = Vec::with_capacity(count);
    for module in modules {
        let path = unsafe { text(module.path, "a policy path") }?;
        sources.push(Source { path, text: unsafe { text(module.text, path) }? });
    }
    Ok(sources)
}

unsafe fn give_policy(
    compiled: Result<Policy, Vec<diagnostic::Diagnostic>>,
    policy_out: *mut *mut Policy,
) -> Answer {
    match compiled {
        Ok(policy) => {
            unsafe { policy_out.write(Box::into_raw(Box::new(policy))) };
            (Status::Ok, Vec::new())
        }
        Err(found) => {
            let found: Vec<Json> = found.iter().map(|one| one.to_json()).collect();
            (Status::Findings, encode(&Json::from(found)))
        }
    }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_compile(
    modules: *const ModuleText,
    count: usize,
    data: Bytes,
    limits: *const CLimits,
    policy_out: *mut *mut Policy,
    out: *mut Buffer,
) -> Status {
    unsafe { policy_out.write(std::ptr::null_mut()) };
    let answer = guard(|| {
        let sources = match unsafe { sources(modules, count) } {
            Ok(sources) => sources,
            Err(answer) => return answer,
        };
        let data = match unsafe { text(data, "the data document") } {
            Ok("") => "{}",
            Ok(data) => data,
            Err(answer) => return answer,
        };
        let compiled = Policy::compile(&sources, data, Limits::from(unsafe { &*limits }));
        unsafe { give_policy(compiled, policy_out) }
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_document_parse(
    path: Bytes,
    json: Bytes,
    document_out: *mut *mut Document,
    out: *mut Buffer,
) -> Status {
    unsafe { document_out.write(std::ptr::null_mut()) };
    let answer = guard(|| {
        let path = match unsafe { text(path, "the data path") } {
            Ok(path) => path,
            Err(answer) => return answer,
        };
        let json = match unsafe { text(json, "the data document") } {
            Ok(json) => json,
            Err(answer) => return answer,
        };
        match Document::parse(path, json) {
            Ok(document) => {
                unsafe { document_out.write(Box::into_raw(Box::new(document))) };
                (Status::Ok, Vec::new())
            }
            Err(error) => (Status::BadInput, error.to_string().into_bytes()),
        }
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_compile_documents(
    modules: *const ModuleText,
    count: usize,
    documents: *const *const Document,
    document_count: usize,
    limits: *const CLimits,
    policy_out: *mut *mut Policy,
    out: *mut Buffer,
) -> Status {
    unsafe { policy_out.write(std::ptr::null_mut()) };
    let answer = guard(|| {
        let sources = match unsafe { sources(modules, count) } {
            Ok(sources) => sources,
            Err(answer) => return answer,
        };
        let documents: Vec<&Document> =
            (0..document_count).map(|at| unsafe { &**documents.add(at) }).collect();
        let limits = Limits::from(unsafe { &*limits });
        let compiled = Policy::compile_documents(&sources, &documents, limits);
        unsafe { give_policy(compiled, policy_out) }
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_document_free(document: *mut Document) {
    if document.is_null() {
        return;
    }
    guard(|| {
        drop(unsafe { Box::from_raw(document) });
        (Status::Ok, Vec::new())
    });
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_with_document(
    policy: *const Policy,
    document: *const Document,
    policy_out: *mut *mut Policy,
    out: *mut Buffer,
) -> Status {
    unsafe { policy_out.write(std::ptr::null_mut()) };
    let answer = guard(|| match unsafe { &*policy }.with_document(unsafe { &*document }) {
        Ok(policy) => {
            unsafe { policy_out.write(Box::into_raw(Box::new(policy))) };
            (Status::Ok, Vec::new())
        }
        Err(error) => (Status::BadInput, error.to_string().into_bytes()),
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_undefined_functions(
    callers: *const ModuleText,
    caller_count: usize,
    missing: *const ModuleText,
    missing_count: usize,
    limits: *const CLimits,
    out: *mut Buffer,
) -> Status {
    let answer = guard(|| {
        let both = unsafe { (sources(callers, caller_count), sources(missing, missing_count)) };
        let (callers, missing) = match both {
            (Ok(callers), Ok(missing)) => (callers, missing),
            (Err(answer), _) | (_, Err(answer)) => return answer,
        };
        match undefined::functions(&callers, &missing, &Limits::from(unsafe { &*limits })) {
            Ok(modules) => (Status::Ok, encode(&Json::from(modules))),
            Err(error) => (Status::Internal, error.to_string().into_bytes()),
        }
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_evaluate(
    policy: *const Policy,
    path: Bytes,
    input: Bytes,
    out: *mut Buffer,
) -> Status {
    let answer = guard(|| {
        let path = match unsafe { text(path, "the path") } {
            Ok(path) => path,
            Err(answer) => return answer,
        };
        let input = match unsafe { text(input, "the input") } {
            Ok(input) => Some(input).filter(|input| !input.is_empty()),
            Err(answer) => return answer,
        };
        match unsafe { &*policy }.evaluate(path, input) {
            Ok(Some(json)) => (Status::Ok, json),
            Ok(None) => (Status::Undefined, Vec::new()),
            Err(Failure::BadInput(why)) => (Status::BadInput, why.into_bytes()),
            Err(Failure::Evaluation(why)) => (Status::Evaluation, why.into_bytes()),
            Err(Failure::Time(why)) => (Status::Time, why.into_bytes()),
            Err(Failure::TooLarge(why)) => (Status::TooLarge, why.into_bytes()),
        }
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_run_tests(policy: *const Policy, out: *mut Buffer) -> Status {
    let answer = guard(|| {
        let results: Vec<Json> = unsafe { &*policy }
            .run_tests()
            .iter()
            .map(|test| {
                let outcome = match test.outcome {
                    Outcome::Pass => "pass",
                    Outcome::Fail => "fail",
                    Outcome::Error => "error",
                    Outcome::Skip => "skip",
                };
                json!({"package": test.package, "name": test.name, "path": test.path,
                       "line": test.line, "outcome": outcome, "message": test.message})
            })
            .collect();
        (Status::Ok, encode(&Json::from(results)))
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_packages(policy: *const Policy, out: *mut Buffer) -> Status {
    let answer = guard(|| match unsafe { &*policy }.packages() {
        Ok(packages) => {
            let packages: Vec<Json> = packages
                .into_iter()
                .map(|(path, package)| json!({"path": path, "package": package}))
                .collect();
            (Status::Ok, encode(&Json::from(packages)))
        }
        Err(error) => (Status::Evaluation, error.to_string().into_bytes()),
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_validate_schema(
    schema: Bytes,
    document: Bytes,
    violations_max: usize,
    out: *mut Buffer,
) -> Status {
    let answer = guard(|| {
        let (schema, document) = unsafe { (slice(schema), slice(document)) };
        match schema::validate(schema, document, violations_max) {
            schema::Outcome::Valid => (Status::Ok, Vec::new()),
            schema::Outcome::Violations(lines) => (Status::Findings, lines.join("\n").into_bytes()),
            schema::Outcome::BadSchema(why) => (Status::Evaluation, why.into_bytes()),
            schema::Outcome::BadDocument(why) => (Status::BadInput, why.into_bytes()),
        }
    });
    unsafe { give(answer, out) }
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_policy_free(policy: *mut Policy) {
    if policy.is_null() {
        return;
    }
    guard(|| {
        drop(unsafe { Box::from_raw(policy) });
        (Status::Ok, Vec::new())
    });
}

/// # Safety
/// See rego_c.h.
#[no_mangle]
pub unsafe extern "C" fn notp_rego_buffer_free(buffer: Buffer) {
    if !buffer.data.is_null() {
        let bytes = std::ptr::slice_from_raw_parts_mut(buffer.data, buffer.size);
        drop(unsafe { Box::from_raw(bytes) });
    }
}

const fn shared_between_threads<T: Send + Sync>() {}
const _: () = shared_between_threads::<Policy>();
const _: () = shared_between_threads::<Document>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_answer() {
        let (status, message) = guard(|| panic!("broken invariant"));
        assert_eq!(status, Status::Internal);
        assert!(String::from_utf8(message).unwrap().contains("broken invariant"));
    }
}
