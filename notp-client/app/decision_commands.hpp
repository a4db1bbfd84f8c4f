// `notp-client decisions`: inspects the spool of a stopped agent without its registry, and accepts
// a tree of the registry that it has refused.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.hpp"

namespace notp::client {

struct DecisionCommandOptions {
  std::filesystem::path folder;  // of the spool
  bool as_json = false;
};

struct DecisionAnswer {
  std::string text;  // for standard output
  int exit = 0;      // below
};

// Exit codes of `decisions`, here and at the registry.
inline constexpr int kDecisionsWhole = 0, kDecisionsDamaged = 1, kDecisionsGaps = 3;

// Verifies every kept record. Damage and gaps are reported and are no error. kNotFound: no spool;
// kConflict: an agent uses it; kConfig: it is of another version of this program; kIo.
Result<DecisionAnswer> verify_decisions(const DecisionCommandOptions& options);

// Describes what the spool holds. The errors of verify_decisions(); kCorrupt.
Result<DecisionAnswer> describe_decisions(const DecisionCommandOptions& options);

// As spool::accept_registry_tree(). `tree`: its id, in hexadecimal digits. kUsage: it is none.
Result<DecisionAnswer> accept_tree(const DecisionCommandOptions& options, const std::string& tree);

}  // namespace notp::client
