// Reads back what a table has given to a PDP.
#include "notp-client/lane/table/segment.hpp"
#include "notp-client/lane/table/token_table.hpp"

namespace notp::lane {

using feed::Event;
using feed::TokenId;

namespace {

using Visit = std::function<bool(const Event&)>;

SegmentView view_of(const rego::TokenShard& shard, bool of_delta) {
  if (of_delta) return shard.delta ? SegmentView(*shard.delta) : SegmentView();
  return shard.base ? SegmentView(shard.base->view()) : SegmentView();
}

bool visit_marks(const SegmentView& view, const SegmentView& newer, const Visit& visit) {
  for (uint32_t at = 0; at < view.marks(); ++at) {
    const TokenId id = view.mark_id(at);
    if (newer.find_mark(id)) continue;
    const Mark mark = view.mark(at);
    if (!visit(Event::mark(id, mark.not_before_s, mark.until_s))) return false;
  }
  return true;
}

bool visit_tokens(const SegmentView& view, const SegmentView& newer, const Visit& visit) {
  for (uint32_t at = 0; at < view.tokens(); ++at) {
    const TokenId id = view.token_id(at);
    const TokenKind kind = view.kind(at);
    if (kind == TokenKind::kAbsent || newer.find_token(id)) continue;
    if (!visit(kind == TokenKind::kLiving ? Event::token(id, view.record(at))
                                          : Event::deleted(id, view.end_s(at))))
      return false;
  }
  return true;
}

bool visit_lists(const SegmentView& view, const Visit& visit) {
  for (uint32_t at = 0; at < view.lists(); ++at) {
    const StatusList list = view.list(at);
    if (!visit(Event::status_list(view.list_id(at), list.bits, Bytes(list.statuses), list.until_s)))
      return false;
  }
  return true;
}

}  // namespace

void for_each(const TableUpdate& whole, const Visit& visit) {
  const SegmentView none;
  for (const auto& [key, shard] : whole.feed.shards) {
    const SegmentView base = view_of(shard, false), delta = view_of(shard, true);
    if (!visit_marks(base, delta, visit) || !visit_marks(delta, none, visit) ||
        !visit_lists(base, visit) || !visit_tokens(base, delta, visit) ||
        !visit_tokens(delta, none, visit))
      return;
  }
}

}  // namespace notp::lane
