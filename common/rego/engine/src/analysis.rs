//! What the engine would find only while evaluating, found when the policies are compiled: unknown
//! functions, wrong numbers of arguments, recursion, too deep chains of rules, rules that
//! contradict each other, packages or base data, and default values that are not constants.

use crate::diagnostic::Diagnostic;
use crate::index::Index;
use crate::scan::{imports_of, Call, RuleRef, Scanner};
use crate::tree;
use regorus::unstable::{Expr, Module, Ref, Rule, RuleHead, Span, BUILTINS};
use regorus::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Complete,
    Set,
    /// `p[x] := v`: the path is the constant front.
    Object,
    Function(usize),
}

/// All definitions of one rule path.
pub struct Group {
    pub path: Vec<String>,
    pub kind: Kind,
    span: Span,
    has_default: bool,
    depth: usize,
    pub refs: Vec<RuleRef>,
    /// Functions, as numbers of their groups.
    pub calls: Vec<usize>,
    /// Numbers of the modules that define it.
    pub modules: Vec<usize>,
}

pub struct Analysis {
    pub index: Index,
    pub groups: Vec<Group>,
    pub diagnostics: Vec<Diagnostic>,
}

struct PendingCall {
    group: usize,
    call: Call,
    imported: Option<Vec<String>>,
    package: Vec<String>,
}

pub fn analyse(modules: &[Ref<Module>], data: &Value, rule_depth_max: usize) -> Analysis {
    let mut analysis =
        Analysis { index: Index::new(), groups: Vec::new(), diagnostics: Vec::new() };
    let mut calls = Vec::new();
    let mut imports: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    for module in modules {
        let names = imports.entry(tree::package_path(module)).or_default();
        names.extend(imports_of(module).into_keys());
    }
    for (at, module) in modules.iter().enumerate() {
        analysis.collect(at, module, &imports, &mut calls);
    }
    for call in calls {
        analysis.check_call(call);
    }
    for module in modules {
        analysis.check_package(module);
    }
    for group in 0..analysis.groups.len() {
        analysis.check_overlap(group, data);
    }
    analysis.check_recursion(rule_depth_max);
    analysis.diagnostics.sort();
    analysis.diagnostics.dedup();
    analysis
}

pub fn kind_of(rule: &Rule, dynamic: bool) -> Kind {
    match rule {
        Rule::Default { args, .. } if !args.is_empty() => Kind::Function(args.len()),
        Rule::Spec { head: RuleHead::Func { args, .. }, .. } => Kind::Function(args.len()),
        Rule::Spec { head: RuleHead::Set { key: Some(_), .. }, .. } => Kind::Set,
        _ if dynamic => Kind::Object,
        _ => Kind::Complete,
    }
}

fn dotted(path: &[String]) -> String {
    format!("data.{}", path.join("."))
}

impl Analysis {
    fn report(&mut self, span: &Span, message: String) {
        self.diagnostics.push(Diagnostic::at(span, message));
    }

    fn collect(
        &mut self,
        at: usize,
        module: &Module,
        imports: &BTreeMap<Vec<String>, BTreeSet<String>>,
        calls: &mut Vec<PendingCall>,
    ) {
        let package = tree::package_path(module);
        self.index.add_package(&package);
        let mut scanner = Scanner::new(module, &package, &imports[&package]);
        let mut foreign = Vec::new();
        for rule in &module.policy {
            let (below, dynamic) = tree::rule_path(rule);
            let path: Vec<String> = package.iter().cloned().chain(below).collect();
            let group = self.define(path, kind_of(rule, dynamic), rule);
            let found = scanner.scan(rule);
            self.groups[group].depth = self.groups[group].depth.max(found.depth);
            self.groups[group].refs.extend(found.refs);
            self.groups[group].modules.push(at);
            foreign.extend(found.foreign);
            for call in found.calls {
                let imported = scanner.imported(&call.path);
                calls.push(PendingCall { group, call, imported, package: package.clone() });
            }
        }
        for (name, span) in foreign {
            let message =
                format!("{name} is imported by another file of this package: import it here too");
            self.report(&span, message);
        }
    }

    fn define(&mut self, path: Vec<String>, kind: Kind, rule: &Rule) -> usize {
        let span = tree::rule_reference(rule).span().clone();
        let is_default = matches!(rule, Rule::Default { .. });
        if let Rule::Default { value, .. } = rule {
            self.check_constant(value);
        }
        let Some(group) = self.index.rule_at(&path) else {
            self.index.add_rule(&path, self.groups.len());
            self.groups.push(Group {
                path,
                kind,
                span,
                has_default: is_default,
                depth: 0,
                refs: Vec::new(),
                calls: Vec::new(),
                modules: Vec::new(),
            });
            return self.groups.len() - 1;
        };
        let first = &mut self.groups[group];
        let place = format!("{}:{}", first.span.source.get_path(), first.span.line);
        let conflict = match (first.kind, kind) {
            (before, now) if before == now => is_default && first.has_default,
            // `p.x := 1` below `default p := {}` and the like: the engine decides on values.
            (Kind::Complete, Kind::Object) | (Kind::Object, Kind::Complete) => false,
            _ => true,
        };
        first.has_default |= is_default;
        if conflict {
            let name = dotted(&path);
            self.report(&span, format!("rule {name} conflicts with its definition at {place}"));
        }
        group
    }

    fn check_constant(&mut self, value: &Ref<Expr>) {
        let offending = match value.as_ref() {
            Expr::Var { span, .. }
            | Expr::RefDot { span, .. }
            | Expr::RefBrack { span, .. }
            | Expr::Call { span, .. } => Some(span),
            _ => None,
        };
        if let Some(span) = offending {
            let span = span.clone();
            self.report(&span, "a default value must be a constant".to_owned());
            return;
        }
        for child in tree::children(value) {
            // A comprehension is evaluated as an ordinary query.
            if let tree::Child::Expr(inner) = child {
                self.check_constant(inner);
            }
        }
    }

    fn check_call(&mut self, pending: PendingCall) {
        let PendingCall { group, call, imported, package } = pending;
        let local = || package.iter().chain(&call.path).cloned().collect::<Vec<_>>();
        let absolute = || call.path.split_first().filter(|(root, _)| *root == "data");
        let candidates = [imported, absolute().map(|(_, path)| path.to_vec()), Some(local())];
        for candidate in candidates.into_iter().flatten() {
            let Some(target) = self.index.rule_at(&candidate) else {
                continue;
            };
            if let Kind::Function(arity) = self.groups[target].kind {
                if call.arguments.is_some() {
                    self.groups[group].calls.push(target);
                }
                self.check_arity(&call, arity);
                return;
            }
        }
        let name = call.path.join(".");
        if name == "print" {
            return;
        }
        match BUILTINS.get(name.as_str()) {
            Some(&(_, arity)) => self.check_arity(&call, usize::from(arity)),
            None => self.report(
                &call.span,
                format!("function {name} is neither defined by a policy nor built in"),
            ),
        }
    }

    /// One argument more than declared is bound to the result: `f(1, y)` is `y = f(1)`.
    fn check_arity(&mut self, call: &Call, arity: usize) {
        let Some(given) = call.arguments else {
            return;
        };
        if given == arity || given == arity + 1 {
            return;
        }
        let name = call.path.join(".");
        let message = format!("function {name} takes {arity} argument(s), {given} given");
        self.report(&call.span, message);
    }

    fn check_package(&mut self, module: &Module) {
        let package = tree::package_path(module);
        for end in 1..=package.len() {
            if let Some(rule) = self.index.rule_at(&package[..end]) {
                let rule = &self.groups[rule];
                let message = format!(
                    "package {} conflicts with rule {} at {}:{}",
                    dotted(&package),
                    dotted(&rule.path),
                    rule.span.source.get_path(),
                    rule.span.line
                );
                self.report(&module.package.span, message);
            }
        }
    }

    fn check_overlap(&mut self, group: usize, data: &Value) {
        let Group { path, kind, span, .. } = &self.groups[group];
        let (name, span) = (dotted(path), span.clone());
        if *kind != Kind::Object && self.index.has_rule_strictly_below(path) {
            self.report(&span, format!("rule {name} conflicts with the rules below it"));
            return;
        }
        if matches!(kind, Kind::Function(_)) {
            return;
        }
        let mut value = data;
        for (depth, component) in path.iter().enumerate() {
            let Value::Object(fields) = value else {
                let message = format!(
                    "rule {name} conflicts with the data document at {}, which is not an object",
                    dotted(&path[..depth])
                );
                self.report(&span, message);
                return;
            };
            match fields.get(&Value::from(component.as_str())) {
                Some(next) => value = next,
                None => return,
            }
        }
        let empty = matches!(value, Value::Object(fields) if fields.is_empty());
        if !empty {
            self.report(&span, format!("rule {name} conflicts with the data document there"));
        }
    }

    /// Depth-first over the rules with an explicit stack. The cost of a rule is its own depth plus
    /// that of the costliest rule it needs: the interpreter's stack grows with it.
    fn check_recursion(&mut self, rule_depth_max: usize) {
        let needs: Vec<Vec<usize>> = self.groups.iter().map(|group| self.needs(group)).collect();
        let mut costs: BTreeMap<usize, usize> = BTreeMap::new();
        for start in 0..self.groups.len() {
            self.visit(start, &needs, &mut costs, rule_depth_max);
        }
    }

    fn needs(&self, group: &Group) -> Vec<usize> {
        let mut needs = group.calls.clone();
        for reference in &group.refs {
            let values = self.index.matching(&reference.pattern).into_iter();
            // A reference to a package does not call the functions in it.
            needs.extend(
                values.filter(|&rule| !matches!(self.groups[rule].kind, Kind::Function(_))),
            );
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    fn visit(
        &mut self,
        start: usize,
        needs: &[Vec<usize>],
        costs: &mut BTreeMap<usize, usize>,
        rule_depth_max: usize,
    ) {
        let mut stack: Vec<(usize, usize)> = vec![(start, 0)];
        let mut on_stack = std::collections::BTreeSet::from([start]);
        while let Some((rule, next)) = stack.pop() {
            if costs.contains_key(&rule) {
                on_stack.remove(&rule);
                continue;
            }
            if let Some(&needed) = needs[rule].get(next) {
                stack.push((rule, next + 1));
                if on_stack.contains(&needed) {
                    self.report_cycle(&stack, needed);
                } else if !costs.contains_key(&needed) {
                    on_stack.insert(needed);
                    stack.push((needed, 0));
                }
                continue;
            }
            on_stack.remove(&rule);
            let deepest = needs[rule].iter().filter_map(|needed| costs.get(needed)).max();
            let cost = self.groups[rule].depth + deepest.copied().unwrap_or(0);
            if cost > rule_depth_max && deepest.is_none_or(|&below| below <= rule_depth_max) {
                let span = self.groups[rule].span.clone();
                let name = dotted(&self.groups[rule].path);
                let message = format!(
                    "rule {name} and the rules it needs are {cost} levels deep, {rule_depth_max} are allowed"
                );
                self.report(&span, message);
            }
            costs.insert(rule, cost);
        }
    }

    fn report_cycle(&mut self, stack: &[(usize, usize)], again: usize) {
        let from = stack.iter().position(|&(rule, _)| rule == again).unwrap_or(0);
        let names: Vec<String> = stack[from..]
            .iter()
            .map(|&(rule, _)| rule)
            .chain([again])
            .map(|rule| dotted(&self.groups[rule].path))
            .collect();
        let span = self.groups[again].span.clone();
        self.report(&span, format!("rules are recursive: {}", names.join(" -> ")));
    }
}
