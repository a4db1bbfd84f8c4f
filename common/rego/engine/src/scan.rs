//! Walks one rule and records what it refers to, what it calls and how deep it is.

use crate::tree::{self, Child};
use regorus::unstable::{Expr, Literal, Module, Query, Ref, Rule, RuleAssign, RuleHead, Span};
use std::collections::{BTreeMap, BTreeSet};

pub struct RuleRef {
    /// Below `data`; `None` where an index is not a constant string.
    pub pattern: Vec<Option<String>>,
}

pub struct Call {
    pub path: Vec<String>,
    /// Nothing where `with` replaces the function instead of calling it.
    pub arguments: Option<usize>,
    pub span: Span,
}

#[derive(Default)]
pub struct Found {
    pub refs: Vec<RuleRef>,
    /// Names that only another file of the package imports. The engine takes them for that import.
    pub foreign: Vec<(String, Span)>,
    pub calls: Vec<Call>,
    /// Levels of the syntax tree plus one per statement and per iteration, each of which costs the
    /// interpreter a stack frame.
    pub depth: usize,
}

pub struct Scanner<'a> {
    package: &'a [String],
    imports: BTreeMap<String, Vec<String>>,
    package_imports: &'a BTreeSet<String>,
    locals: Vec<BTreeSet<String>>,
    found: Found,
}

/// Alias to target, the root (`data` or `input`) included.
pub fn imports_of(module: &Module) -> BTreeMap<String, Vec<String>> {
    let mut imports = BTreeMap::new();
    for import in &module.imports {
        let Some(target) = tree::static_path(&import.refr) else {
            continue;
        };
        let alias = match (&import.r#as, target.last()) {
            (Some(alias), _) => alias.text().to_owned(),
            (None, Some(last)) => last.clone(),
            (None, None) => continue,
        };
        imports.insert(alias, target);
    }
    imports
}

impl<'a> Scanner<'a> {
    pub fn new(
        module: &Module,
        package: &'a [String],
        package_imports: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            package,
            imports: imports_of(module),
            package_imports,
            locals: Vec::new(),
            found: Found::default(),
        }
    }

    pub fn scan(&mut self, rule: &Rule) -> Found {
        let mut names = BTreeSet::new();
        let depth = match rule {
            Rule::Default { args, value, .. } => {
                args.iter().for_each(|arg| tree::pattern_names(arg, &mut names));
                self.locals.push(names);
                self.expr(value)
            }
            Rule::Spec { head, bodies, .. } => {
                if let RuleHead::Func { args, .. } = head {
                    args.iter().for_each(|arg| tree::pattern_names(arg, &mut names));
                }
                // The head sees what the first body declares; else-bodies have their own value.
                if let Some(first) = bodies.first() {
                    names.extend(tree::declared_names(&first.query));
                }
                self.locals.push(names);
                let mut depth = self.head(head);
                for body in bodies {
                    self.locals.push(tree::declared_names(&body.query));
                    depth = depth.max(self.assign(body.assign.as_ref()));
                    depth = depth.max(self.query(&body.query));
                    self.locals.pop();
                }
                depth
            }
        };
        self.locals.clear();
        let mut found = std::mem::take(&mut self.found);
        found.depth = depth + 1;
        found
    }

    fn head(&mut self, head: &RuleHead) -> usize {
        match head {
            RuleHead::Compr { refr, assign, .. } => {
                self.indexes(refr).max(self.assign(assign.as_ref()))
            }
            RuleHead::Set { refr, key, .. } => {
                self.indexes(refr).max(key.as_ref().map_or(0, |key| self.expr(key)))
            }
            RuleHead::Func { assign, .. } => self.assign(assign.as_ref()),
        }
    }

    fn assign(&mut self, assign: Option<&RuleAssign>) -> usize {
        assign.map_or(0, |assign| self.expr(&assign.value))
    }

    fn indexes(&mut self, refr: &Ref<Expr>) -> usize {
        tree::reference(refr).indexes.into_iter().map(|index| self.expr(index)).max().unwrap_or(0)
    }

    fn query(&mut self, query: &Query) -> usize {
        self.locals.push(tree::declared_names(query));
        let deepest = query.stmts.iter().map(|stmt| self.literal_stmt(stmt)).max().unwrap_or(0);
        self.locals.pop();
        deepest + query.stmts.len()
    }

    fn literal_stmt(&mut self, stmt: &regorus::unstable::LiteralStmt) -> usize {
        let mut depth = match &stmt.literal {
            Literal::SomeVars { .. } => 0,
            Literal::SomeIn { key, value, collection, .. } => {
                let parts = key.iter().chain([value, collection]);
                1 + parts.map(|part| self.expr(part)).max().unwrap_or(0)
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expr(expr),
            Literal::Every { key, value, domain, query, .. } => {
                let names = key.iter().chain([value]).map(|name| name.text().to_owned()).collect();
                let domain = self.expr(domain);
                self.locals.push(names);
                let body = self.query(query);
                self.locals.pop();
                domain.max(body)
            }
        };
        for modifier in &stmt.with_mods {
            depth = depth.max(self.expr(&modifier.r#as));
            self.replaced(&modifier.refr);
        }
        depth + 1
    }

    fn expr(&mut self, expr: &Ref<Expr>) -> usize {
        match expr.as_ref() {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                return self.reference(expr);
            }
            Expr::Call { fcn, params, span, .. } => self.call(fcn, params.len(), span),
            _ => {}
        }
        let deepest = tree::children(expr).iter().map(|child| self.child(child)).max();
        1 + deepest.unwrap_or(0)
    }

    fn child(&mut self, child: &Child<'_>) -> usize {
        match child {
            Child::Expr(expr) => self.expr(expr),
            Child::Scope(terms, query) => {
                self.locals.push(tree::declared_names(query));
                let terms = terms.iter().map(|term| self.expr(term)).max().unwrap_or(0);
                let depth = terms.max(self.query(query));
                self.locals.pop();
                depth
            }
        }
    }

    fn reference(&mut self, expr: &Ref<Expr>) -> usize {
        let found = tree::reference(expr);
        let mut depth = found.components.len() + 1;
        for index in &found.indexes {
            depth = depth.max(1 + self.expr(index)) + usize::from(tree::var_name(index).is_some());
        }
        match tree::var_name(found.root) {
            Some(name) => {
                if self.is_foreign(name) {
                    self.found.foreign.push((name.to_owned(), found.root.span().clone()));
                }
                if let Some(pattern) = self.resolve(name, found.components) {
                    self.found.refs.push(RuleRef { pattern });
                }
                depth
            }
            None => depth + self.expr(found.root),
        }
    }

    fn is_foreign(&self, name: &str) -> bool {
        self.package_imports.contains(name)
            && !self.imports.contains_key(name)
            && !self.locals.iter().any(|scope| scope.contains(name))
    }

    /// Where a name leads below `data`, or nothing for a local, `input` or a wildcard.
    fn resolve(&self, name: &str, rest: Vec<Option<String>>) -> Option<Vec<Option<String>>> {
        if self.locals.iter().any(|scope| scope.contains(name)) {
            return None;
        }
        let front: Vec<String> = match (name, self.imports.get(name)) {
            ("data", _) => Vec::new(),
            ("input" | "_", _) => return None,
            (_, Some(target)) => match target.split_first() {
                Some((root, path)) if root == "data" => path.to_vec(),
                _ => return None,
            },
            (_, None) => self.package.iter().cloned().chain([name.to_owned()]).collect(),
        };
        Some(front.into_iter().map(Some).chain(rest).collect())
    }

    fn call(&mut self, fcn: &Ref<Expr>, arguments: usize, span: &Span) {
        if let Some(path) = tree::static_path(fcn) {
            self.found.calls.push(Call { path, arguments: Some(arguments), span: span.clone() });
        }
    }

    fn replaced(&mut self, target: &Ref<Expr>) {
        let Some(path) = tree::static_path(target) else {
            return;
        };
        let root = path[0].as_str();
        if root != "data" && root != "input" && !self.imports.contains_key(root) {
            self.found.calls.push(Call { path, arguments: None, span: target.span().clone() });
        }
    }

    /// The path below `data` that a call with an imported front means.
    pub fn imported(&self, path: &[String]) -> Option<Vec<String>> {
        let (alias, rest) = path.split_first()?;
        let (root, target) = self.imports.get(alias)?.split_first()?;
        (root == "data").then(|| target.iter().chain(rest).cloned().collect())
    }
}
