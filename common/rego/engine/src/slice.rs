//! The part of a policy set that one question needs.
//!
//! The engine walks over all its modules for every reference to `data`: with two thousand modules a
//! decision costs milliseconds, of which all but a few microseconds go into modules that have no
//! part in it. So a question is put to an engine that holds only the packages that the asked rule
//! can reach. A slice is made at the first such question and kept.

use crate::analysis::Group;
use crate::index::Index;
use crate::tree;
use regorus::unstable::{Module, Ref};
use regorus::{Engine, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Source text in all slices together; past it, questions go to the whole engine. A parsed module
/// takes some twenty times its text.
const SLICED_BYTES_MAX: usize = 16 << 20;

/// Which modules each rule needs.
pub struct Plan {
    needs: Vec<Vec<usize>>,   // rule to rules
    modules: Vec<Vec<usize>>, // rule to all modules of the packages that define it
    ruleless: Vec<usize>,     // modules that only make their package an empty object
}

/// The engines over one state of the data: the whole one, and the slices made so far.
pub struct Engines {
    template: Engine, // of all modules
    whole: OnceLock<Arc<Engine>>,
    rule_slices: Vec<OnceLock<Arc<Engine>>>,
    made: Mutex<Made>,
}

#[derive(Clone, Default)]
struct Made {
    engines: BTreeMap<Vec<usize>, Arc<Engine>>,
    /// By package path: as many as the policies have folders, at most.
    packages: BTreeMap<String, Arc<Engine>>,
    bytes: usize,
}

impl Engines {
    pub fn new(template: Engine, plan: &Plan) -> Self {
        Self::with(template, plan, Made::default())
    }

    fn with(template: Engine, plan: &Plan, made: Made) -> Self {
        let rule_slices = plan.needs.iter().map(|_| OnceLock::new()).collect();
        Self { template, whole: OnceLock::new(), rule_slices, made: Mutex::new(made) }
    }

    /// The same modules over other data. What was asked so far is prepared here and now, so that no
    /// question waits for it; nothing is parsed again.
    pub fn over(&self, data: &Value, plan: &Plan) -> anyhow::Result<Self> {
        let before = self.made().clone();
        let mut made = Made { bytes: before.bytes, ..Made::default() };
        for (modules, engine) in before.engines {
            let mut engine = moved(&engine, data)?;
            prepare(&mut engine)?;
            made.engines.insert(modules, Arc::new(engine));
        }
        let was_asked = self.whole.get().is_some();
        let mut template = moved(&self.template, data)?;
        if was_asked {
            prepare(&mut template)?;
        }
        let engines = Self::with(template, plan, made);
        if was_asked {
            engines.whole();
        }
        Ok(engines)
    }

    /// The engine of all modules.
    pub fn whole(&self) -> Arc<Engine> {
        let make = || {
            let mut engine = self.template.clone();
            // One that does not prepare says so at each question.
            prepare(&mut engine).ok();
            Arc::new(engine)
        };
        self.whole.get_or_init(make).clone()
    }

    /// The engine to ask for one rule. `make` builds and prepares an engine of some modules.
    pub fn for_rule(
        &self,
        rule: usize,
        plan: &Plan,
        modules: &[Ref<Module>],
        make: impl FnOnce(&[usize]) -> Option<Engine>,
    ) -> Arc<Engine> {
        self.rule_slices[rule]
            .get_or_init(|| self.for_modules(plan.modules_for(&[rule], &[]), modules, make))
            .clone()
    }

    /// The engine to ask for a whole package. `members` tells its rules and modules.
    pub fn for_package(
        &self,
        path: String,
        plan: &Plan,
        modules: &[Ref<Module>],
        members: impl FnOnce() -> (Vec<usize>, Vec<usize>),
        make: impl FnOnce(&[usize]) -> Option<Engine>,
    ) -> Arc<Engine> {
        if let Some(engine) = self.made().packages.get(&path) {
            return engine.clone();
        }
        let (rules, extra) = members();
        let engine = self.for_modules(plan.modules_for(&rules, &extra), modules, make);
        self.made().packages.insert(path, engine.clone());
        engine
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn for_modules(
        &self,
        needed: Vec<usize>,
        modules: &[Ref<Module>],
        make: impl FnOnce(&[usize]) -> Option<Engine>,
    ) -> Arc<Engine> {
        if needed.len() == modules.len() {
            return self.whole();
        }
        let mut made = self.made();
        if let Some(engine) = made.engines.get(&needed) {
            return engine.clone();
        }
        let text = |&at: &usize| modules[at].package.span.source.get_contents().len();
        let bytes: usize = needed.iter().map(text).sum();
        if made.bytes + bytes > SLICED_BYTES_MAX {
            drop(made);
            return self.whole();
        }
        let Some(engine) = make(&needed) else {
            drop(made);
            return self.whole();
        };
        let engine = Arc::new(engine);
        made.bytes += bytes;
        made.engines.insert(needed, engine.clone());
        engine
    }
}

/// A clone with other data, which is not prepared.
fn moved(engine: &Engine, data: &Value) -> anyhow::Result<Engine> {
    let mut engine = engine.clone();
    engine.clear_data();
    engine.add_data(data.clone())?;
    Ok(engine)
}

/// Makes the engine schedule, hoist and register everything, so that clones share the outcome.
pub fn prepare(engine: &mut Engine) -> anyhow::Result<()> {
    engine.eval_query("true".to_owned(), false).map(|_| ())
}

impl Plan {
    pub fn new(groups: &[Group], index: &Index, modules: &[Ref<Module>]) -> Self {
        let mut by_package: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        for (at, module) in modules.iter().enumerate() {
            by_package.entry(tree::package_path(module)).or_default().push(at);
        }
        let packages_of = |group: &Group| {
            // An unsafe variable in one file of a package may be a rule in another.
            let of_package = |&at: &usize| by_package.get(&tree::package_path(&modules[at]));
            let all: BTreeSet<usize> =
                group.modules.iter().filter_map(of_package).flatten().copied().collect();
            all.into_iter().collect()
        };
        Self {
            needs: groups.iter().map(|group| needs(group, index)).collect(),
            modules: groups.iter().map(packages_of).collect(),
            ruleless: (0..modules.len()).filter(|&at| modules[at].policy.is_empty()).collect(),
        }
    }

    fn modules_for(&self, rules: &[usize], extra: &[usize]) -> Vec<usize> {
        let mut reached: BTreeSet<usize> = rules.iter().copied().collect();
        let mut pending: Vec<usize> = rules.to_vec();
        while let Some(rule) = pending.pop() {
            for &next in &self.needs[rule] {
                if reached.insert(next) {
                    pending.push(next);
                }
            }
        }
        let of_rules = reached.iter().flat_map(|&rule| &self.modules[rule]);
        let modules = of_rules.chain(&self.ruleless).chain(extra);
        modules.copied().collect::<BTreeSet<usize>>().into_iter().collect()
    }
}

/// Everything that evaluating a rule may touch. After a variable component the engine evaluates all
/// rules below, whatever the rest of the reference asks for; and a function may be named as a value
/// where `with` replaces another.
fn needs(group: &Group, index: &Index) -> Vec<usize> {
    let mut needs = group.calls.clone();
    for reference in &group.refs {
        let constant = reference.pattern.iter().take_while(|part| part.is_some()).count();
        needs.extend(index.matching(&reference.pattern[..constant]));
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}
