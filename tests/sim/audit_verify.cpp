#include "tests/sim/audit_verify.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/sim_trust.hpp"
#include "tools/notp/audit/log_verifier.hpp"
#include "tools/notp/audit/tree_verifier.hpp"

namespace notp::sim {
namespace {

cli::TreeVerifier read_tree(const wire::TreePart& part, std::optional<record::Checkpoint> kept) {
  cli::TreeVerifier verifier(std::string(kTrustDomain), nullptr, std::move(kept));
  while (verifier.wanted()) verifier.take(part);
  return verifier;
}

wire::LogRow row_of(const audit::StoredLog& log) {
  wire::LogRow row;
  row.node = log.node;
  row.log = log.log;
  row.size = log.tree.size();
  row.root = log.tree.root();
  row.announcement = log.announcement;
  return row;
}

std::optional<Error> verify_log(const MemoryAuditStore::Log& log, const cli::LogInTree* in_tree) {
  cli::LogVerifier verifier(row_of(log.state), std::string(kTrustDomain),
                            {.authorities = nullptr, .in_tree = in_tree, .may_see_all = true});
  while (const auto position = verifier.wanted()) {
    const auto at = std::ranges::find_if(log.segments, [&](const auto& each) {
      return each->segment.head.first <= *position && each->segment.head.end() > *position;
    });
    if (at == log.segments.end())
      verifier.refuse({ErrorCode::kNotFound, fmt::format("there is no record {}", *position), {}});
    else
      verifier.take({(*at)->segment, (*at)->reduced});
  }
  const cli::LogReport report = std::move(verifier).finish();
  if (!report.problem) return std::nullopt;
  return report.problem->why;
}

}  // namespace

std::vector<std::string> verify_audit(const MemoryAuditStore::Image& store,
                                      const wire::TreePart& part,
                                      const std::vector<record::Checkpoint>& kept) {
  std::vector<std::string> findings;
  const cli::TreeVerifier tree = read_tree(part, std::nullopt);
  if (tree.report().problem) findings.push_back(tree.report().problem->message);
  for (const record::Checkpoint& each : kept)
    if (const auto problem = read_tree(part, each).report().problem)
      findings.push_back(problem->message);
  for (const auto& [id, in_tree] : tree.logs())
    if (!in_tree.checkpoints.empty() && !store.logs.contains(id))
      findings.push_back(fmt::format("log {} is missing", id.hex()));
  for (const auto& [id, log] : store.logs) {
    const auto in_tree = tree.logs().find(id);
    const auto problem = verify_log(log, in_tree == tree.logs().end() ? nullptr : &in_tree->second);
    if (problem) findings.push_back(problem->message);
  }
  return findings;
}

}  // namespace notp::sim
