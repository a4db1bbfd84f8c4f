// A node's table of tokens in the layout that its workers map: events as they come from a registry,
// written to segments and deltas, copied from one into the next, and read back. The first byte says
// how many of the batch's events are in the first segments, the second whether these are written
// anew; the batch follows.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "common/assert.hpp"
#include "notp-client/lane/table/token_table.hpp"

namespace {

using namespace notp;
using feed::Event;
using feed::EventKey;
using feed::EventKind;

using State = std::map<EventKey, Event>;

State read(const lane::TokenTable& table) {
  State out;
  lane::for_each(table.whole(), [&](const Event& event) {
    NOTP_ASSERT(out.emplace(feed::key_of(event), event).second, "each id once");
    return true;
  });
  return out;
}

// The rules of a table, without its layout; lists are not modelled.
void apply(State& state, const Event& event) {
  const EventKey key = feed::key_of(event);
  if (event.kind == EventKind::kList) return;
  if (event.kind == EventKind::kToken) {
    if (!state.contains({EventKind::kDeleted, event.id})) state.insert_or_assign(key, event);
    return;
  }
  if (event.kind == EventKind::kDeleted) state.erase({EventKind::kToken, event.id});
  Event& now = state.try_emplace(key, event).first->second;
  now.until_s = std::max(now.until_s, event.until_s);
  now.not_before_s = std::max(now.not_before_s, event.not_before_s);
}

void check_equal(const State& found, const State& wanted) {
  for (const auto& [key, event] : found)
    NOTP_ASSERT(key.kind == EventKind::kList || wanted.contains(key), "nothing is made up");
  for (const auto& [key, event] : wanted) {
    const auto at = found.find(key);
    NOTP_ASSERT(at != found.end(), "nothing is lost");
    NOTP_ASSERT(at->second == event, "nothing is changed");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kEventsMax = 4'000;
  if (size < 2) return 0;
  const auto batch =
      feed::Batch::decode(ByteView(reinterpret_cast<const char*>(data) + 2, size - 2));
  if (!batch || batch->events.size() > kEventsMax) return 0;
  const std::span<const Event> events = batch->events;
  const size_t first = std::min<size_t>(data[0], events.size());
  lane::TokenTable table({.with_events = true});
  State wanted;
  for (const Event& event : events.first(first)) apply(wanted, event);
  table.apply(events.first(first));
  // What has ended by a time before all of them is nothing, but it writes large shards anew.
  if (data[1] % 2 == 1)
    for (int i = 0; i < 64; ++i) table.expire(0);
  check_equal(read(table), wanted);
  for (const Event& event : events.subspan(first)) apply(wanted, event);
  table.apply(events.subspan(first));
  check_equal(read(table), wanted);
  for (const auto& [key, event] : wanted) {
    NOTP_ASSERT(table.is_deleted(key.id) == wanted.contains({EventKind::kDeleted, key.id}),
                "a lookup says what the walk does");
    if (key.kind == EventKind::kToken)
      NOTP_ASSERT(table.find(key.id) == event.record, "a lookup finds what the walk does");
    if (key.kind == EventKind::kMark)
      NOTP_ASSERT(table.mark(key.id) == event.not_before_s, "a mark is found");
  }
  // A second table of what the first one gives is the same.
  lane::TokenTable copy({.with_events = true});
  std::vector<Event> all;
  for (const auto& [key, event] : read(table))
    if (key.kind != EventKind::kList) all.push_back(event);
  copy.apply(all);
  check_equal(read(copy), wanted);
  return 0;
}
