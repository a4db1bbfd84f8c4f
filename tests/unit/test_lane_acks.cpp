// What a node of a token lane may acknowledge, and what not.
#include <doctest/doctest.h>

#include "tests/support/agent/lane_world.hpp"

namespace notp {
namespace {

using namespace lane_world;

// A node that has acknowledged revision 11, and was cut off.
struct CutOff : Following {
  CutOff() {
    node.advance(2'000);
    REQUIRE(node.reported() == 11);
    node.cut();
    node.reports.clear();
  }
};

}  // namespace

TEST_CASE("a part of the history acknowledges nothing: a later part may have what it lacks") {
  CutOff world;
  Registry& registry = world.registry;
  Node& node = world.node;
  registry.add(dead(4));
  // Read when the deletion was renewed already: this part has only what was not.
  feed::Batch part{registry.header(node.now.wall_ms), 11, 12, {}};
  registry.add(dead(5));
  registry.add(dead(4, kStartS + 2 * kLifeS));
  part.header.head = registry.head;
  node.connect();
  node.step();  // the state
  node.give(seal(feed::StatementType::kBatch, part.encode(), registry.key));
  node.core->on_deadline(node.now);
  node.run();
  for (const wire::LaneApplied& report : node.reports) CHECK(report.revision <= 11);
  // Nor after a restart at the revision of that part.
  node.crash();
  node.connect();
  node.step();
  for (const wire::LaneApplied& report : node.reports) CHECK(report.revision <= 11);
  node.settle();
  node.advance(2'000);
  CHECK(node.reported() == 14);
}

TEST_CASE("a node tells a registry nothing of another one's history, and does not spin meanwhile") {
  CutOff world;
  Node& node = world.node;
  world.registry.instance = history(2);  // as after a restore
  world.registry.add(dead(4));
  node.connect();
  node.step();  // the state
  CHECK(node.core->next_deadline() > node.now.boot_ms);
  CHECK(node.reports.empty());
  node.settle();
  node.advance(2'000);
  CHECK(node.reported() == 12);
}

}  // namespace notp
