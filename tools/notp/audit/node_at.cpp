// notp node at: which releases a node decided with at a time.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/node_state.hpp"
#include "tools/notp/audit/times.hpp"
#include "tools/notp/node/node_commands.hpp"

namespace notp::cli {
namespace {

// Starts and ends of an agent between two changes of what is active; a page of them is plenty.
constexpr uint32_t kStateRows = 64;

struct AtOptions {
  std::string node, time;
};

std::string state_text(const Output& output, const NodeState& state, TimeMs time_ms) {
  const auto& set = std::get<record::ActiveSet>(state.active.record.content);
  std::string text = printable(state.active.node) + "\n";
  std::vector<std::pair<std::string, std::string>> rows{
      {"at", rfc3339_nanoseconds(time_ms * kNanosecondsPerMs)},
      {"since", rfc3339_nanoseconds(state.active.record.time_ns)},
      {"engine", printable(fmt::format("{} {}", set.engine, set.engine_version))}};
  if (!set.revision.empty()) rows.emplace_back("revision", printable(set.revision));
  rows.emplace_back("record",
                    fmt::format("{} of log {}", state.active.position(), state.active.log.hex()));
  if (state.ended_ns)
    rows.emplace_back("but", fmt::format("the agent ended at {}, and had not started again",
                                         rfc3339_nanoseconds(*state.ended_ns)));
  text += facts(rows) + "\n";
  std::vector<std::vector<std::string>> lines{
      {"LEDGER", "VERSION", "EPOCH", "FRESHNESS", "RELEASE"}};
  for (const record::ActiveRelease& each : set.releases)
    lines.push_back({each.ref.ledger.text(), fmt::format("v{}", each.ref.version),
                     std::to_string(each.ref.epoch), printable(each.freshness),
                     each.ref.release_hash.hex()});
  return text + (set.releases.empty() ? "It had no release.\n" : table(output, lines));
}

json::object state_json(const NodeState& state, TimeMs time_ms) {
  const auto& set = std::get<record::ActiveSet>(state.active.record.content);
  json::array releases;
  for (const record::ActiveRelease& each : set.releases)
    releases.push_back(json::object{{"ledger", each.ref.ledger.text()},
                                    {"epoch", each.ref.epoch},
                                    {"version", each.ref.version},
                                    {"release", each.ref.release_hash.hex()},
                                    {"content_root", each.ref.content_root.hex()},
                                    {"freshness", each.freshness}});
  json::object object{{"node", state.active.node},
                      {"at", rfc3339_nanoseconds(time_ms * kNanosecondsPerMs)},
                      {"since", rfc3339_nanoseconds(state.active.record.time_ns)},
                      {"engine", set.engine},
                      {"engine_version", set.engine_version},
                      {"revision", set.revision},
                      {"log", state.active.log.hex()},
                      {"position", state.active.position()},
                      {"releases", std::move(releases)}};
  if (state.ended_ns) object["ended"] = rfc3339_nanoseconds(*state.ended_ns);
  return object;
}

Result<int> run_at(const Context& context, const AtOptions& options) {
  NOTP_ASSIGN(const TimeMs time_ms, parse_time(options.time, context.now.wall_ms));
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(const session::Identity node,
              named_identity(options.node, session.query.trust_domain));
  NOTP_ASSIGN(const std::optional<NodeState> state,
              node_state_at(*session.port, node.text(), time_ms));
  if (!state)
    return fail(ErrorCode::kNotFound,
                fmt::format("no record says what {} decided with at {}", node.text(),
                            rfc3339_nanoseconds(time_ms * kNanosecondsPerMs)));
  context.output.result(state_text(context.output, *state, time_ms), state_json(*state, time_ms));
  return exit_code::kOk;
}

}  // namespace

Result<std::optional<NodeState>> node_state_at(AuditPort& port, const std::string& node,
                                               TimeMs time_ms) {
  wire::DecisionFilter filter;
  filter.node = node;
  filter.until_ms = std::clamp<TimeMs>(time_ms, 0, limits::kTimestampMsMax - 1) + 1;
  filter.kinds = {record::Kind::kActive, record::Kind::kRunStart, record::Kind::kRunEnd};
  RecordPages pages(port, std::move(filter), /*oldest_first=*/false);
  std::optional<int64_t> ended_ns;
  bool started = false;
  while (true) {
    NOTP_ASSIGN(auto page, pages.next(kStateRows));
    if (!page) return std::nullopt;
    for (AuditRecord& each : *page) {
      if (!each.unreadable.empty()) continue;
      const record::Kind kind = each.record.kind();
      if (kind == record::Kind::kActive) return NodeState{std::move(each), ended_ns};
      if (kind == record::Kind::kRunStart) started = true;
      if (kind == record::Kind::kRunEnd && !started && !ended_ns) ended_ns = each.record.time_ns;
    }
  }
}

void add_node_at(Commands& commands, CLI::App& node) {
  commands.add<AtOptions>(
      node, "at", "Show which releases a node decided with at a time, from its records",
      [](CLI::App& command, AtOptions& options) {
        command.add_option("name", options.node, "Name of the node")->type_name("NAME")->required();
        command.add_option("time", options.time, "When: a time, or so long ago")
            ->type_name("TIME|7d")
            ->required();
      },
      run_at);
}

}  // namespace notp::cli
