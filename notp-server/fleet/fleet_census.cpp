// The fleet's part in its measures.
#include "common/log.hpp"
#include "common/storage/sqlite.hpp"
#include "notp-server/fleet/fleet.hpp"

namespace notp::fleet {

void Fleet::measure(std::function<void(TimeMs)> activated) {
  const MutexLock lock(mutex_);
  measures_.begin(std::move(activated));
  wake_.notify_one();
}

void Fleet::count_nodes() {
  const auto after = measures_.page_due(std::chrono::steady_clock::now());
  if (!after) return;
  std::vector<wire::NodeRow> nodes;
  const auto read = sqlite_try("cannot count the nodes in the fleet database", [&] {
    nodes = census_page(*database_, *after, Measures::kPageNodes);
  });
  if (!read) {
    measures_.page_not_read();
    return log::write(log::Level::kError, "nodes_not_counted", read.error());
  }
  {
    const MutexLock lock(mutex_);
    for (wire::NodeRow& node : nodes) {
      show_attestations(node);
      measures_.count(node, exceptions_.refusals.contains(node.identity));
    }
  }
  const bool is_last = nodes.size() < Measures::kPageNodes;
  measures_.page_counted(is_last ? std::nullopt : std::optional(std::move(nodes.back().identity)));
}

}  // namespace notp::fleet
