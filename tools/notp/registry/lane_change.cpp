#include "tools/notp/registry/lane_change.hpp"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "tools/notp/duration.hpp"

namespace notp::cli {
namespace {

constexpr TimeMs kPollMs = 100;
constexpr TimeMs kSecondMs = 1'000;

}  // namespace

void declare_lane_wait(CLI::App& command, LaneWait& options) {
  command.add_flag("--wait", options.wait, "Wait until every connected node has applied it");
  command.add_option("--wait-for", options.wait_s, "At most so long")
      ->type_name("TIME")
      ->transform(duration_in_seconds())
      ->capture_default_str();
}

Result<wire::LaneChange> wait_for_nodes(RegistryClient& client, const std::string& lane,
                                        const LaneWait& options, wire::LaneChange change) {
  if (!options.wait) return change;
  const TimeMs end_ms = read_clock().boot_ms + options.wait_s * kSecondMs;
  while (change.applied < change.nodes && read_clock().boot_ms < end_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
    NOTP_ASSIGN(change, client.ask(wire::RevokeTokens{
                            .lane = lane, .id = {}, .mark = {}, .revision = change.revision}));
  }
  return change;
}

std::string nodes_text(const wire::LaneChange& change, const LaneWait& options) {
  if (change.nodes == 0) return "No node that follows the lane is connected.\n";
  if (change.applied >= change.nodes)
    return fmt::format("Every connected node ({}) has applied it.\n", change.nodes);
  return fmt::format("{} of {} connected nodes have applied it{}.\n", change.applied, change.nodes,
                     options.wait ? "" : "; --wait waits for the others");
}

int lane_change_exit(const wire::LaneChange& change, const LaneWait& options) {
  const bool is_late = options.wait && change.applied < change.nodes;
  return is_late ? error_traits(ErrorCode::kTimeout).exit : exit_code::kOk;
}

}  // namespace notp::cli
