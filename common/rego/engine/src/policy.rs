//! Compiling a set of modules, evaluating paths below `data`, running the model's own tests.

use crate::analysis::{self, Analysis, Group, Kind};
use crate::builtins;
use crate::diagnostic::Diagnostic;
use crate::index::{Index, Place};
use crate::nesting;
use crate::slice::{prepare, Engines, Plan};
use crate::tree;
use regorus::unstable::{Module, Ref, Rule, RuleHead};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError, PolicyLengthConfig, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub struct Limits {
    pub eval_time: Duration,
    pub test_time: Duration,
    pub tests_time: Duration,
    pub module_bytes_max: usize,
    pub result_bytes_max: usize,
    pub diagnostics_max: usize,
    pub rule_depth_max: usize,
}

const LINE_COLUMNS_MAX: NonZeroU32 = NonZeroU32::new(64 * 1024).unwrap();
const MODULE_LINES_MAX: NonZeroUsize = NonZeroUsize::new(200_000).unwrap();
/// Expressions evaluated between two looks at the clock.
const CLOCK_INTERVAL: NonZeroU32 = NonZeroU32::new(64).unwrap();

pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

/// Immutable once compiled, but for the engines made on demand. An evaluation works on a clone of
/// an engine, whose modules and data are shared by reference count and copied only along the paths
/// that rules write.
pub struct Policy {
    code: Arc<Code>,
    data: Value,
    engines: Engines,
}

/// What does not depend on the data.
struct Code {
    modules: Vec<Ref<Module>>,
    index: Index,
    rules: Vec<RuleTarget>,
    plan: Plan,
    limits: Limits,
}

/// Parsed data at its place below `data`, to be shared by any number of policies.
pub struct Document {
    path: Vec<String>,
    whole: Value, // from the top
}

impl Document {
    pub fn parse(path: &str, json: &str) -> anyhow::Result<Self> {
        let path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned);
        Self::new(path.collect(), Value::from_json_str(json)?)
    }

    fn new(path: Vec<String>, value: Value) -> anyhow::Result<Self> {
        let mut whole = value;
        for name in path.iter().rev() {
            let mut folder = Value::new_object();
            folder.as_object_mut()?.insert(Value::from(name.as_str()), whole);
            whole = folder;
        }
        whole.as_object().map_err(|_| anyhow::anyhow!("the top of the data must be an object"))?;
        Ok(Self { path, whole })
    }

    /// `data` with this document in the place of whatever lies there.
    fn replace_in(&self, data: &Value) -> anyhow::Result<Value> {
        let names: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let value = lookup(&self.whole, &names).cloned().unwrap_or(Value::Undefined);
        replaced(data, &names, value)
    }
}

fn replaced(at: &Value, path: &[&str], value: Value) -> anyhow::Result<Value> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(value);
    };
    let name = Value::from(*name);
    let mut folder = at.clone();
    let fields = folder.as_object_mut()?;
    let below = fields.get(&name).cloned().unwrap_or_else(Value::new_object);
    fields.insert(name, replaced(&below, rest, value)?);
    Ok(folder)
}

struct RuleTarget {
    query: String,
    kind: Kind,
    /// One rule with a plain name: the engine can evaluate it without parsing a query.
    direct: bool,
}

pub enum Failure {
    BadInput(String),
    Evaluation(String),
    Time(String),
    TooLarge(String),
}

fn timer(limit: Duration) -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit, check_interval: CLOCK_INTERVAL }
}

pub fn new_engine(limits: &Limits) -> anyhow::Result<Engine> {
    let mut engine = Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: LINE_COLUMNS_MAX,
        max_file_bytes: NonZeroUsize::new(limits.module_bytes_max).unwrap_or(NonZeroUsize::MIN),
        max_lines: MODULE_LINES_MAX,
    });
    // Outside strict mode a failing built-in is undefined, as OPA has it on its data API.
    engine.set_strict_builtin_errors(false);
    engine.set_gather_prints(true);
    engine.set_execution_timer_config(timer(limits.eval_time));
    builtins::install(&mut engine)?;
    Ok(engine)
}

fn whole(message: impl ToString) -> Vec<Diagnostic> {
    vec![Diagnostic { path: String::new(), line: 0, column: 0, message: message.to_string() }]
}

/// Parses every module and reports all that do not parse.
pub fn parse(engine: &mut Engine, sources: &[Source<'_>], most: usize) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for source in sources {
        if diagnostics.len() >= most {
            break;
        }
        if let Err(deep) = nesting::check(source.text) {
            diagnostics.push(Diagnostic {
                path: source.path.to_owned(),
                line: deep.line,
                column: deep.column,
                message: deep.message,
            });
            continue;
        }
        if let Err(error) = engine.add_policy(source.path.to_owned(), source.text.to_owned()) {
            diagnostics.push(Diagnostic::from_engine(&error.to_string(), source.path));
        }
    }
    diagnostics
}

impl Policy {
    pub fn compile(
        sources: &[Source<'_>],
        data_json: &str,
        limits: Limits,
    ) -> Result<Self, Vec<Diagnostic>> {
        let data = Value::from_json_str(data_json)
            .map_err(|error| whole(format!("the data document is not valid JSON: {error}")))?;
        let document = Document::new(Vec::new(), data).map_err(whole)?;
        Self::compile_documents(sources, &[&document], limits)
    }

    /// The documents are merged; two of them with different values at one path are a finding.
    pub fn compile_documents(
        sources: &[Source<'_>],
        documents: &[&Document],
        limits: Limits,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut engine = new_engine(&limits).map_err(whole)?;
        let mut diagnostics = parse(&mut engine, sources, limits.diagnostics_max);
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        for document in documents {
            // By reference count: only objects that two documents share are copied.
            engine.add_data(document.whole.clone()).map_err(whole)?;
        }
        let data = engine.get_data();

        let modules = engine.get_modules().clone();
        let analysis = analysis::analyse(&modules, &data, limits.rule_depth_max);
        diagnostics = analysis.diagnostics;
        if let Err(error) = prepare(&mut engine) {
            let first = Diagnostic::from_engine(&error.to_string(), "");
            diagnostics.extend(all_unsafe(sources, &modules, first, &limits));
        }
        if !diagnostics.is_empty() {
            diagnostics.sort();
            diagnostics.dedup();
            diagnostics.truncate(limits.diagnostics_max);
            return Err(diagnostics);
        }
        let Analysis { index, groups, .. } = analysis;
        let packages = modules.iter().map(|module| tree::package_path(module)).collect();
        let rules = groups.iter().map(|group| target(group, &packages)).collect();
        let plan = Plan::new(&groups, &index, &modules);
        let engines = Engines::new(engine, &plan);
        let code = Arc::new(Code { modules, index, rules, plan, limits });
        Ok(Self { code, data, engines })
    }

    /// The same policies over data in which the document takes the place of what lies at its path.
    /// Nothing is parsed or analysed again.
    pub fn with_document(&self, document: &Document) -> anyhow::Result<Self> {
        let path: Vec<Option<String>> = document.path.iter().cloned().map(Some).collect();
        if !self.code.index.matching(&path).is_empty() {
            anyhow::bail!("there are rules at data/{}", document.path.join("/"));
        }
        let data = document.replace_in(&self.data)?;
        let engines = self.engines.over(&data, &self.code.plan)?;
        Ok(Self { code: self.code.clone(), data, engines })
    }

    /// The JSON of `data.<path>`, `None` when it is undefined.
    pub fn evaluate(&self, path: &str, input: Option<&str>) -> Result<Option<Vec<u8>>, Failure> {
        let components: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let value = match self.code.index.place(&components) {
            Place::Data => lookup(&self.data, &components).cloned(),
            Place::Package => {
                let query = query_text(&components);
                let engine = self.engine_for_package(&components);
                Some(self.run(&engine, input, |engine| query_value(engine, query))?)
            }
            Place::Rule { rule: number, depth } => {
                let rule = &self.code.rules[number];
                if matches!(rule.kind, Kind::Function(_)) {
                    return Ok(None);
                }
                let engine = self.engine_for_rule(number);
                let whole = self.run(&engine, input, |engine| {
                    if rule.direct {
                        engine.eval_rule(rule.query.clone())
                    } else {
                        query_value(engine, rule.query.clone())
                    }
                })?;
                lookup(&whole, &components[depth..]).cloned()
            }
        };
        match value {
            None | Some(Value::Undefined) => Ok(None),
            Some(value) => self.to_json(&value).map(Some),
        }
    }

    fn engine_for_rule(&self, rule: usize) -> Arc<Engine> {
        let Code { plan, modules, .. } = &*self.code;
        self.engines.for_rule(rule, plan, modules, |needed| self.part(needed))
    }

    fn engine_for_package(&self, components: &[&str]) -> Arc<Engine> {
        self.engines.for_package(
            components.join("/"),
            &self.code.plan,
            &self.code.modules,
            || self.members(components),
            |needed| self.part(needed),
        )
    }

    /// All rules and all modules at and below a package path: modules without rules count as well.
    fn members(&self, components: &[&str]) -> (Vec<usize>, Vec<usize>) {
        let pattern: Vec<Option<String>> =
            components.iter().map(|component| Some((*component).to_owned())).collect();
        let below = |at: &usize| {
            let package = tree::package_path(&self.code.modules[*at]);
            package.len() >= components.len()
                && package.iter().zip(components).all(|(name, component)| name == component)
        };
        (self.code.index.matching(&pattern), (0..self.code.modules.len()).filter(below).collect())
    }

    /// An engine of some of the modules and all of the data.
    fn part(&self, needed: &[usize]) -> Option<Engine> {
        let mut engine = new_engine(&self.code.limits).ok()?;
        for &at in needed {
            let source = &self.code.modules[at].package.span.source;
            engine.add_policy(source.get_path().clone(), source.get_contents().clone()).ok()?;
        }
        engine.add_data(self.data.clone()).ok()?;
        prepare(&mut engine).ok()?;
        Some(engine)
    }

    fn run(
        &self,
        engine: &Engine,
        input: Option<&str>,
        evaluate: impl FnOnce(&mut Engine) -> anyhow::Result<Value>,
    ) -> Result<Value, Failure> {
        let mut engine = engine.clone();
        if let Some(input) = input {
            let input = Value::from_json_str(input)
                .map_err(|error| Failure::BadInput(error.to_string()))?;
            engine.set_input(input);
        }
        let started = Instant::now();
        evaluate(&mut engine).map_err(|error| failure(&error, started, self.code.limits.eval_time))
    }

    fn to_json(&self, value: &Value) -> Result<Vec<u8>, Failure> {
        let mut out = Bounded { bytes: Vec::new(), most: self.code.limits.result_bytes_max };
        serde_json::to_writer(&mut out, value).map_err(|_| {
            let most = self.code.limits.result_bytes_max;
            Failure::TooLarge(format!("the result exceeds {most} bytes of JSON"))
        })?;
        Ok(out.bytes)
    }

    pub fn packages(&self) -> anyhow::Result<Vec<(String, Vec<String>)>> {
        let packages = self.engines.whole().get_policy_package_components()?;
        Ok(packages.into_iter().map(|p| (p.source_file, p.components)).collect())
    }

    pub fn run_tests(&self) -> Vec<TestResult> {
        let mut template = Engine::clone(&self.engines.whole());
        template.set_execution_timer_config(timer(self.code.limits.test_time));
        let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        let mut results = Vec::new();
        let started = Instant::now();
        for module in &self.code.modules {
            let package = tree::package_path(module);
            for rule in &module.policy {
                let Some(mut result) = TestResult::new(module, &package, rule) else {
                    continue;
                };
                let path: Vec<String> =
                    package.iter().cloned().chain(tree::rule_path(rule).0).collect();
                let count = seen.entry(path.clone()).or_default();
                if *count > 0 {
                    result.name = format!("{}#{:02}", result.name, count);
                }
                *count += 1;
                if started.elapsed() >= self.code.limits.tests_time {
                    result.outcome = Outcome::Error;
                    let limit = self.code.limits.tests_time;
                    result.message = format!("not run: the tests together took {limit:?}");
                } else if result.outcome != Outcome::Skip {
                    self.run_test(template.clone(), module, rule, &path, &mut result);
                }
                results.push(result);
            }
        }
        results
    }

    fn run_test(
        &self,
        mut engine: Engine,
        module: &Ref<Module>,
        rule: &Ref<Rule>,
        path: &[String],
        result: &mut TestResult,
    ) {
        let started = Instant::now();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match engine.eval_rule_in_module(module, rule, false) {
            Ok(data) => match lookup(&data, &path) {
                Some(Value::Bool(true)) => result.outcome = Outcome::Pass,
                Some(Value::Object(cases)) => judge_cases(cases.iter(), result),
                Some(Value::Bool(false)) => result.message = "the rule is false".to_owned(),
                Some(Value::Undefined) | None => {
                    result.message = "the rule is undefined".to_owned();
                }
                Some(_) => result.message = "the rule is not a boolean".to_owned(),
            },
            Err(error) => {
                result.outcome = Outcome::Error;
                result.message = match failure(&error, started, self.code.limits.test_time) {
                    Failure::Time(text) | Failure::Evaluation(text) => text,
                    Failure::BadInput(text) | Failure::TooLarge(text) => text,
                };
            }
        }
        let prints = engine.take_prints().unwrap_or_default();
        if result.outcome != Outcome::Pass && !prints.is_empty() {
            const PRINTS_SHOWN_MAX: usize = 10;
            let shown: Vec<String> = prints.into_iter().take(PRINTS_SHOWN_MAX).collect();
            result.message = format!("{}; printed: {}", result.message, shown.join(" | "));
        }
    }
}

/// `test_x[case] if ...` yields one value for each case; every one must hold.
fn judge_cases<'a>(cases: impl Iterator<Item = (&'a Value, &'a Value)>, result: &mut TestResult) {
    let mut failed = Vec::new();
    let mut count = 0usize;
    for (name, value) in cases {
        count += 1;
        if *value != Value::Bool(true) {
            failed.push(name.to_string());
        }
    }
    if count == 0 {
        result.message = "no case is defined".to_owned();
    } else if failed.is_empty() {
        result.outcome = Outcome::Pass;
    } else {
        result.message = format!("cases that do not hold: {}", failed.join(", "));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    Fail,
    Error,
    Skip,
}

pub struct TestResult {
    pub package: Vec<String>,
    pub name: String,
    pub path: String,
    pub line: u32,
    pub outcome: Outcome,
    pub message: String,
}

impl TestResult {
    /// Nothing for a rule that is no test. Functions and defaults are none.
    fn new(module: &Module, package: &[String], rule: &Rule) -> Option<Self> {
        match rule {
            Rule::Spec { head: RuleHead::Compr { .. } | RuleHead::Set { .. }, .. } => {}
            _ => return None,
        }
        let name = tree::rule_path(rule).0.last()?.clone();
        let outcome = match &name {
            test if test.starts_with("test_") => Outcome::Fail,
            test if test.starts_with("todo_test_") => Outcome::Skip,
            _ => return None,
        };
        Some(Self {
            package: package.to_vec(),
            name,
            path: module.package.span.source.get_path().clone(),
            line: tree::rule_reference(rule).span().line,
            outcome,
            message: String::new(),
        })
    }
}

/// The engine stops at the first file with an unsafe variable. To name the others as well, each
/// file found is replaced by a stand-in with the same rule names and the rest is prepared again.
fn all_unsafe(
    sources: &[Source<'_>],
    modules: &[Ref<Module>],
    first: Diagnostic,
    limits: &Limits,
) -> Vec<Diagnostic> {
    const ROUNDS_MAX: usize = 8;
    let mut found = vec![first];
    let mut replaced = BTreeSet::new();
    while found.len() < limits.diagnostics_max.min(ROUNDS_MAX) {
        let last = found[found.len() - 1].path.clone();
        if last.is_empty() || !replaced.insert(last) {
            break;
        }
        let Ok(mut engine) = new_engine(limits) else {
            break;
        };
        let stand_ins_parse = sources.iter().zip(modules).all(|(source, module)| {
            let text = if replaced.contains(source.path) {
                stand_in(module)
            } else {
                source.text.to_owned()
            };
            engine.add_policy(source.path.to_owned(), text).is_ok()
        });
        if !stand_ins_parse {
            break;
        }
        match prepare(&mut engine) {
            Ok(()) => break,
            Err(error) => found.push(Diagnostic::from_engine(&error.to_string(), "")),
        }
    }
    found
}

fn stand_in(module: &Module) -> String {
    let names: BTreeSet<String> = module
        .policy
        .iter()
        .filter_map(|rule| tree::rule_path(rule).0.into_iter().next())
        .collect();
    let rules: String = names.iter().map(|name| format!("{name} := true\n")).collect();
    format!("package {}\n{rules}", module.package.refr.span().text())
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn query_text<S: AsRef<str>>(components: &[S]) -> String {
    reference_text("data", components)
}

/// A reference as one writes it: `root.a["b-c"]`.
pub fn reference_text<S: AsRef<str>>(root: &str, components: &[S]) -> String {
    let mut text = root.to_owned();
    for component in components {
        let component = component.as_ref();
        if is_identifier(component) {
            text.push('.');
            text.push_str(component);
        } else {
            text.push('[');
            text.push_str(&serde_json::Value::from(component).to_string());
            text.push(']');
        }
    }
    text
}

fn target(group: &Group, packages: &BTreeSet<Vec<String>>) -> RuleTarget {
    let above = group.path.split_last().map(|(_, above)| above);
    let direct = matches!(group.kind, Kind::Complete | Kind::Set)
        && above.is_some_and(|package| packages.contains(package));
    RuleTarget { query: query_text(&group.path), kind: group.kind, direct }
}

fn query_value(engine: &mut Engine, query: String) -> anyhow::Result<Value> {
    let results = engine.eval_query(query, false)?.result;
    let expression = results.into_iter().next().and_then(|row| row.expressions.into_iter().next());
    Ok(expression.map_or(Value::Undefined, |expression| expression.value))
}

/// A component that is a number also finds an element or a key that is one.
fn lookup<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, component| {
        let number = || component.parse::<i64>().ok().map(Value::from);
        match value {
            Value::Object(fields) => {
                fields.get(&Value::from(*component)).or_else(|| fields.get(&number()?))
            }
            Value::Array(items) => items.get(component.parse().ok()?),
            Value::Set(items) => {
                items.get(&Value::from(*component)).or_else(|| items.get(&number()?))
            }
            _ => None,
        }
    })
}

fn failure(error: &anyhow::Error, started: Instant, limit: Duration) -> Failure {
    let timed_out =
        matches!(error.downcast_ref::<LimitError>(), Some(LimitError::TimeLimitExceeded { .. }));
    // The engine rewraps some errors as text, which loses their type.
    if timed_out || started.elapsed() >= limit {
        return Failure::Time(format!("the evaluation took longer than {limit:?}"));
    }
    Failure::Evaluation(Diagnostic::from_engine(&error.to_string(), "").to_line())
}

struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + chunk.len() > self.most {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
