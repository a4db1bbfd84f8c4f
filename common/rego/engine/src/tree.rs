//! Views of the engine's syntax tree that the analysis needs: reference paths, children, the names
//! that a query declares.

use regorus::unstable::{AssignOp, Expr, Literal, Module, Query, Ref, Rule, RuleHead, Span};
use std::collections::BTreeSet;

/// A reference split at its root: `data.a["b"][x]` is ("data", [a, b, None]).
pub struct Reference<'a> {
    pub root: &'a Ref<Expr>,
    pub components: Vec<Option<String>>,
    pub indexes: Vec<&'a Ref<Expr>>,
}

pub fn reference(expr: &Ref<Expr>) -> Reference<'_> {
    let mut components = Vec::new();
    let mut indexes = Vec::new();
    let mut root = expr;
    loop {
        match root.as_ref() {
            Expr::RefDot { refr, field, .. } => {
                components.push(Some(field.0.text().to_owned()));
                root = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                components.push(string_literal(index));
                indexes.push(index);
                root = refr;
            }
            _ => break,
        }
    }
    components.reverse();
    Reference { root, components, indexes }
}

pub fn string_literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::String { value, .. } | Expr::RawString { value, .. } => {
            value.as_string().ok().map(|text| text.to_string())
        }
        _ => None,
    }
}

pub fn var_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Var { span, .. } => Some(span.text()),
        _ => None,
    }
}

/// All components with the root in front, when every one of them is a constant string.
pub fn static_path(expr: &Ref<Expr>) -> Option<Vec<String>> {
    let found = reference(expr);
    let root = var_name(found.root)?.to_owned();
    std::iter::once(Some(root)).chain(found.components).collect()
}

pub fn package_path(module: &Module) -> Vec<String> {
    static_path(&module.package.refr).unwrap_or_default()
}

pub fn rule_reference(rule: &Rule) -> &Ref<Expr> {
    match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. }
            | RuleHead::Set { refr, .. }
            | RuleHead::Func { refr, .. } => refr,
        },
    }
}

/// The constant front of a rule's head below its package, and whether a variable part follows.
pub fn rule_path(rule: &Rule) -> (Vec<String>, bool) {
    let found = reference(rule_reference(rule));
    let mut path: Vec<String> = var_name(found.root).map(str::to_owned).into_iter().collect();
    for component in found.components {
        match component {
            Some(name) => path.push(name),
            None => return (path, true),
        }
    }
    (path, false)
}

pub enum Child<'a> {
    Expr(&'a Ref<Expr>),
    /// A comprehension: the terms see what the query declares.
    Scope(Vec<&'a Ref<Expr>>, &'a Ref<Query>),
}

pub fn children(expr: &Expr) -> Vec<Child<'_>> {
    use Child::{Expr as One, Scope};
    match expr {
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().map(One).collect(),
        Expr::Object { fields, .. } => {
            fields.iter().flat_map(|(_, key, value)| [One(key), One(value)]).collect()
        }
        Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
            vec![Scope(vec![term], query)]
        }
        Expr::ObjectCompr { key, value, query, .. } => vec![Scope(vec![key, value], query)],
        Expr::Call { params, .. } => params.iter().map(One).collect(),
        Expr::UnaryExpr { expr, .. } => vec![One(expr)],
        Expr::RefDot { refr, .. } => vec![One(refr)],
        Expr::RefBrack { refr, index, .. } => vec![One(refr), One(index)],
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => vec![One(lhs), One(rhs)],
        Expr::Membership { key, value, collection, .. } => {
            key.iter().chain([value, collection]).map(One).collect()
        }
        _ => Vec::new(),
    }
}

/// Names in a pattern such as `[x, {"k": y}]`.
pub fn pattern_names(pattern: &Ref<Expr>, names: &mut BTreeSet<String>) {
    match pattern.as_ref() {
        Expr::Var { span, .. } => {
            names.insert(span.text().to_owned());
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().for_each(|item| pattern_names(item, names));
        }
        Expr::Object { fields, .. } => {
            fields.iter().for_each(|(_, _, value)| pattern_names(value, names));
        }
        _ => {}
    }
}

/// Names that a query declares with `some`, `:=` or `some ... in`.
pub fn declared_names(query: &Query) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for stmt in &query.stmts {
        match &stmt.literal {
            Literal::SomeVars { vars, .. } => {
                names.extend(vars.iter().map(|var: &Span| var.text().to_owned()));
            }
            Literal::SomeIn { key, value, .. } => {
                key.iter().chain([value]).for_each(|part| pattern_names(part, &mut names));
            }
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr.as_ref() {
                    pattern_names(lhs, &mut names);
                }
            }
            _ => {}
        }
    }
    names
}
