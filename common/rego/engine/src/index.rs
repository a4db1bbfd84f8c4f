//! All rules of a policy set by their path below `data`.

use std::collections::BTreeMap;

#[derive(Default)]
struct Node {
    children: BTreeMap<String, usize>,
    rule: Option<usize>,
}

/// A trie of rule and package paths. Rules are numbered by the caller.
pub struct Index {
    nodes: Vec<Node>,
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// The first `depth` components are the rule; the rest is a path into its value.
    Rule {
        rule: usize,
        depth: usize,
    },
    /// A package, or a folder that has a package or a rule below it.
    Package,
    Data,
}

impl Index {
    pub fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    fn node(&mut self, path: &[String]) -> usize {
        let mut at = 0;
        for component in path {
            at = match self.nodes[at].children.get(component) {
                Some(&next) => next,
                None => {
                    let next = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].children.insert(component.clone(), next);
                    next
                }
            };
        }
        at
    }

    /// Makes the path a folder even when no rule lies below it.
    pub fn add_package(&mut self, path: &[String]) {
        self.node(path);
    }

    pub fn add_rule(&mut self, path: &[String], rule: usize) {
        let node = self.node(path);
        self.nodes[node].rule = Some(rule);
    }

    pub fn rule_at(&self, path: &[String]) -> Option<usize> {
        self.nodes[self.find(path)?].rule
    }

    pub fn has_rule_strictly_below(&self, path: &[String]) -> bool {
        self.find(path).is_some_and(|node| {
            let mut children = self.nodes[node].children.values();
            children.any(|&child| self.any_below(child, &|node| node.rule.is_some()))
        })
    }

    fn find(&self, path: &[String]) -> Option<usize> {
        path.iter().try_fold(0, |at, component| self.nodes[at].children.get(component).copied())
    }

    fn any_below(&self, start: usize, holds: &dyn Fn(&Node) -> bool) -> bool {
        let mut pending = vec![start];
        while let Some(at) = pending.pop() {
            if holds(&self.nodes[at]) {
                return true;
            }
            pending.extend(self.nodes[at].children.values());
        }
        false
    }

    pub fn place(&self, path: &[&str]) -> Place {
        let mut at = 0;
        for (depth, component) in path.iter().enumerate() {
            match self.nodes[at].children.get(*component) {
                Some(&next) => at = next,
                None => return Place::Data,
            }
            let node = &self.nodes[at];
            if let Some(rule) = node.rule {
                // A folder of rules such as `p.q` and `p.r` below a rule `p[x]` is one value.
                return Place::Rule { rule, depth: depth + 1 };
            }
        }
        Place::Package
    }

    /// Rules that a reference may need: those on its way and, where it ends, all below.
    pub fn matching(&self, pattern: &[Option<String>]) -> Vec<usize> {
        let mut rules = Vec::new();
        let mut pending = vec![(0, 0)];
        while let Some((at, depth)) = pending.pop() {
            let node = &self.nodes[at];
            rules.extend(node.rule);
            match pattern.get(depth) {
                Some(Some(name)) => {
                    pending.extend(node.children.get(name).map(|&next| (next, depth + 1)));
                }
                Some(None) | None => {
                    pending.extend(node.children.values().map(|&next| (next, depth + 1)));
                }
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn places_and_matches() {
        let mut index = Index::new();
        index.add_package(&path("a/b"));
        index.add_rule(&path("a/b/allow"), 0);
        index.add_rule(&path("a/c/deny"), 1);
        assert_eq!(index.place(&["a", "b"]), Place::Package);
        assert_eq!(index.place(&["a", "b", "allow", "x"]), Place::Rule { rule: 0, depth: 3 });
        assert_eq!(index.place(&["a", "z"]), Place::Data);
        let wild = [Some("a".to_owned()), None, Some("deny".to_owned())];
        assert_eq!(index.matching(&wild), vec![1]);
        assert!(index.has_rule_strictly_below(&path("a/c")));
        assert!(!index.has_rule_strictly_below(&path("a/c/deny")));
    }
}
