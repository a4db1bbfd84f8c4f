// What follows an order to a lane: whether nodes have applied it, and how that is told.
#pragma once

#include <string>

#include "tools/notp/command.hpp"
#include "tools/notp/registry_client.hpp"

namespace notp::cli {

struct LaneWait {
  bool wait = false;
  int64_t wait_s = 30;  // at most
};

// --wait and --wait-for.
void declare_lane_wait(CLI::App& command, LaneWait& options);

// Asks until every connected node has applied the change, as long as the options say. Nodes that
// are not connected are not waited for: they get it before anything else.
Result<wire::LaneChange> wait_for_nodes(RegistryClient& client, const std::string& lane,
                                        const LaneWait& options, wire::LaneChange change);

// A line about the nodes.
std::string nodes_text(const wire::LaneChange& change, const LaneWait& options);
// The exit code: of a timeout when nodes were waited for in vain.
int lane_change_exit(const wire::LaneChange& change, const LaneWait& options);

}  // namespace notp::cli
