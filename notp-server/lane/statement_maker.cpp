#include "notp-server/lane/statement_maker.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/row_counts.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::lane {
namespace {

using feed::Event;
using feed::EventKey;
using feed::EventKind;

}  // namespace

feed::LaneHeader StatementMaker::header(const GrantView& view, Now now) const {
  const StoreState& state = store_.state();
  return {.trust_domain = name_.trust_domain,
          .lane = name_.lane,
          .instance = state.instance,
          .grant = view.id(),
          .time_ms = now.wall_ms,
          .head = state.head,
          .terms = name_.terms};
}

Statement StatementMaker::seal(feed::StatementType type, Bytes body) const {
  const wire::LaneStatement statement{feed::seal(type, std::move(body), key_)};
  Statement out;
  out.frame = std::make_shared<const Bytes>(wire::encode_frame(statement));
  return out;
}

std::vector<Statement> StatementMaker::batches(const GrantView& view, std::span<const Row> rows,
                                               uint64_t from, uint64_t to, Now now) const {
  std::vector<feed::Batch> batches;
  size_t bytes = 0;
  for (const Row& row : rows) {
    auto event = view.news(row);
    if (!event) continue;
    const size_t more = bytes_of(*event);
    const bool fits = !batches.empty() && bytes + more <= kBatchPlainBytes &&
                      batches.back().events.size() < limits::kLaneBatchEventsMax;
    if (!fits) {
      const uint64_t begin = batches.empty() ? from : batches.back().to;
      batches.push_back({.header = header(view, now), .from = begin, .to = begin, .events = {}});
      bytes = 0;
    }
    batches.back().to = row.revision;
    batches.back().events.push_back(*std::move(event));
    bytes += more;
  }
  std::vector<Statement> out;
  if (!batches.empty()) batches.back().to = to;
  for (const feed::Batch& batch : batches) {
    out.push_back(seal(feed::StatementType::kBatch, batch.encode()));
    out.back().from = batch.from;
    out.back().to = batch.to;
  }
  return out;
}

Statement StatementMaker::heartbeat(const GrantView& view, uint64_t from, uint64_t to,
                                    Now now) const {
  const feed::Batch batch{.header = header(view, now), .from = from, .to = to, .events = {}};
  Statement out = seal(feed::StatementType::kBatch, batch.encode());
  out.from = from;
  out.to = to;
  return out;
}

Result<Statement> StatementMaker::tail(const GrantView& view, uint64_t from, Now now) const {
  if (from < store_.state().compacted)
    return fail(ErrorCode::kConflict, fmt::format("events above revision {} are compacted", from));
  NOTP_ASSIGN(EventStore::Page page,
              store_.tail(from, limits::kLaneBatchEventsMax, kBatchPlainBytes));
  const uint64_t to = page.more ? page.rows.back().revision : store_.state().head;
  auto made = batches(view, page.rows, from, to, now);
  // The row that reached the limit may take a batch of its own; the rest comes with the next page.
  if (made.empty()) return heartbeat(view, from, to, now);
  return std::move(made.front());
}

Result<Statement> StatementMaker::snapshot(const GrantView& view, uint64_t as_of,
                                           const std::optional<EventKey>& after, Now now) const {
  feed::Snapshot out{
      .header = header(view, now), .as_of = as_of, .after = after, .last = {}, .rows = {}};
  size_t bytes = 0;
  std::optional<EventKey> last = after;
  bool has_more = true;
  // A view that sees few tokens of many reads several pages of the store for one of its own.
  for (int reads = 0; reads < kSnapshotReadsMax && has_more && bytes < kPagePlainBytes; ++reads) {
    NOTP_ASSIGN(EventStore::Page page, store_.range(last, kPageRowsMax, kPagePlainBytes - bytes));
    has_more = page.more;
    for (const Row& row : page.rows) {
      auto event = view.row(row.event);
      const size_t more = event ? bytes_of(*event) : 0;
      if (bytes + more > kPagePlainBytes && bytes != 0) {
        has_more = true;
        bytes = kPagePlainBytes;
        break;
      }
      if (event) out.rows.push_back(*std::move(event));
      bytes += more;
      last = key_of(row.event);
    }
    // No tokens follow for a node that asks for them.
    if (view.is_ask() && last && last->kind == EventKind::kToken) has_more = false;
  }
  if (has_more) out.last = last;
  Statement statement = seal(feed::StatementType::kSnapshot, out.encode());
  statement.last = out.last;
  return statement;
}

Result<Statement> StatementMaker::answer(const GrantView& view, const feed::TokenId& id,
                                         Now now) const {
  feed::Answer out{
      .header = header(view, now), .revision = store_.state().head, .id = id, .event = {}};
  NOTP_ASSIGN(auto found, store_.find({EventKind::kDeleted, id}));
  if (!found) {
    NOTP_ASSIGN(found, store_.find({EventKind::kToken, id}));
  }
  if (found) out.event = view.answer(found->event);
  return seal(feed::StatementType::kAnswer, out.encode());
}

}  // namespace notp::lane
