//! Stand-ins for the functions of policies that must not decide any more.
//!
//! A reference to a rule that is not there is undefined, but a call of a function that is not there
//! keeps the caller from compiling, and with it a whole set of policies that has nothing to do with
//! the ones that went. So each function that is still called is replaced by one of the same name
//! that has no value for any argument.

use crate::analysis::{kind_of, Kind};
use crate::policy::{self, Limits, Source};
use crate::scan::Scanner;
use crate::tree;
use regorus::unstable::{Module, Ref};
use std::collections::{BTreeMap, BTreeSet};

struct Function {
    package: String, // as written
    name: String,
    arity: usize,
}

/// Modules, one for each package, with the functions of `missing` that `callers` call, all of them
/// undefined. What does not parse is passed over: it has its own finding when it is compiled.
pub fn functions(
    callers: &[Source<'_>],
    missing: &[Source<'_>],
    limits: &Limits,
) -> anyhow::Result<Vec<String>> {
    let functions = functions_of(&parsed(missing, limits)?);
    let callers = if functions.is_empty() { Vec::new() } else { parsed(callers, limits)? };
    let mut needed: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for path in called(&callers) {
        if let Some(function) = functions.get(&path) {
            let blanks = vec!["_"; function.arity].join(", ");
            let text = format!("{}({blanks}) := true if false\n", function.name);
            needed.entry(&function.package).or_default().insert(text);
        }
    }
    let module = |(package, texts): (&str, BTreeSet<String>)| {
        format!("package {package}\n\n{}", texts.into_iter().collect::<String>())
    };
    Ok(needed.into_iter().map(module).collect())
}

fn parsed(sources: &[Source<'_>], limits: &Limits) -> anyhow::Result<Vec<Ref<Module>>> {
    let mut engine = policy::new_engine(limits)?;
    policy::parse(&mut engine, sources, usize::MAX);
    Ok(engine.get_modules().clone())
}

/// By path below `data`.
fn functions_of(modules: &[Ref<Module>]) -> BTreeMap<Vec<String>, Function> {
    let mut functions = BTreeMap::new();
    for module in modules {
        let package = tree::package_path(module);
        for rule in &module.policy {
            let (below, dynamic) = tree::rule_path(rule);
            let (Kind::Function(arity), Some((first, rest))) =
                (kind_of(rule, dynamic), below.split_first())
            else {
                continue;
            };
            let function = Function {
                package: module.package.refr.span().text().to_owned(),
                name: policy::reference_text(first, rest),
                arity,
            };
            functions.insert(package.iter().chain(&below).cloned().collect(), function);
        }
    }
    functions
}

/// Everything below `data` that is called or replaced by `with`.
fn called(modules: &[Ref<Module>]) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    let nothing = BTreeSet::new();
    for module in modules {
        let package = tree::package_path(module);
        let mut scanner = Scanner::new(module, &package, &nothing);
        for rule in &module.policy {
            for call in scanner.scan(rule).calls {
                paths.extend(scanner.imported(&call.path));
                if let Some(("data", path)) =
                    call.path.split_first().map(|(root, path)| (root.as_str(), path))
                {
                    paths.insert(path.to_vec());
                }
            }
        }
    }
    paths
}
