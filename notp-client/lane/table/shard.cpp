#include "notp-client/lane/table/shard.hpp"

#include <algorithm>

#include "notp-client/lane/table/table_limits.hpp"

namespace notp::lane {

using feed::EventKey;
using feed::EventKind;
using feed::TokenId;
using feed::TokenRecord;

namespace {

constexpr const char* kFileName = "notp-tokens";
constexpr size_t kSampleMax = 64;

// Gathers every so many end of an entry.
class EndSample {
 public:
  explicit EndSample(size_t entries) : step_(entries / kSampleMax + 1) {}
  void add(int64_t end_s) {
    if (count_++ % step_ == 0) ends_.push_back(end_s);
  }
  std::vector<int64_t> take() {
    std::ranges::sort(ends_);
    return std::move(ends_);
  }

 private:
  const size_t step_;
  size_t count_ = 0;
  std::vector<int64_t> ends_;
};

// Calls `of_base(index)` and `of_change(iterator)` in the order of ids; of one that both have, only
// the change.
void merge(uint32_t count, auto id_of, const auto& changes, auto of_base, auto of_change) {
  auto change = changes.begin();
  for (uint32_t at = 0; at < count; ++at) {
    const TokenId id = id_of(at);
    for (; change != changes.end() && change->first < id; ++change) of_change(change);
    if (change != changes.end() && change->first == id)
      of_change(change++);
    else
      of_base(at);
  }
  for (; change != changes.end(); ++change) of_change(change);
}

}  // namespace

TokenState TokenShard::state(const TokenId& id) const {
  if (const auto change = tokens_.find(id); change != tokens_.end())
    return {change->second.kind, change->second.end_s()};
  const auto at = view_.find_token(id);
  return at ? TokenState{view_.kind(*at), view_.end_s(*at)} : TokenState{};
}

std::optional<TokenRecord> TokenShard::record(const TokenId& id) const {
  if (const auto change = tokens_.find(id); change != tokens_.end())
    return change->second.record ? std::optional(*change->second.record) : std::nullopt;
  const auto at = view_.find_token(id);
  if (!at || view_.kind(*at) != TokenKind::kLiving) return std::nullopt;
  return view_.record(*at);
}

std::optional<Mark> TokenShard::mark(const TokenId& id) const {
  if (const auto change = marks_.find(id); change != marks_.end()) return change->second;
  const auto at = view_.find_mark(id);
  return at ? std::optional(view_.mark(*at)) : std::nullopt;
}

void TokenShard::put(const TokenId& id, Change change) {
  delta_.reset();
  tokens_.insert_or_assign(id, std::move(change));
}

void TokenShard::put_living(const TokenId& id, TokenRecord record) {
  put(id, {TokenKind::kLiving, 0, std::make_unique<TokenRecord>(std::move(record))});
}
void TokenShard::put_deleted(const TokenId& id, int64_t until_s) {
  put(id, {TokenKind::kDeleted, until_s, nullptr});
}
void TokenShard::put_absent(const TokenId& id) { put(id, {TokenKind::kAbsent, 0, nullptr}); }

void TokenShard::put_mark(const TokenId& id, const Mark& mark) {
  delta_.reset();
  marks_.insert_or_assign(id, mark);
}

uint64_t TokenShard::memory_bytes() const {
  constexpr size_t kChangeBytes = 512;  // about, with its node and its texts
  return view_.size() + (delta_ ? delta_->size() : 0) + changes() * kChangeBytes;
}

std::vector<TokenId> TokenShard::living(const std::optional<TokenId>& after,
                                        const std::optional<TokenId>& last) const {
  std::vector<TokenId> out;
  uint32_t begin = 0, end = view_.tokens();
  auto first = tokens_.begin(), stop = tokens_.end();
  if (after) {
    begin = view_.lower_bound(*after);
    if (begin < end && view_.token_id(begin) == *after) ++begin;
    first = tokens_.upper_bound(*after);
  }
  if (last) {
    end = view_.lower_bound(*last);
    if (end < view_.tokens() && view_.token_id(end) == *last) ++end;
    stop = tokens_.upper_bound(*last);
  }
  if (begin >= end && first == stop) return out;
  merge(
      begin < end ? end - begin : 0, [&](uint32_t at) { return view_.token_id(begin + at); },
      std::ranges::subrange(first, stop),
      [&](uint32_t at) {
        if (view_.kind(begin + at) == TokenKind::kLiving) out.push_back(view_.token_id(begin + at));
      },
      [&](auto change) {
        if (change->second.kind == TokenKind::kLiving) out.push_back(change->first);
      });
  return out;
}

bool TokenShard::is_stale(int64_t now_s) const {
  const size_t entries = view_.tokens() + view_.marks();
  const auto sampled = static_cast<size_t>(std::ranges::upper_bound(ends_, now_s) - ends_.begin());
  size_t ended = ends_.empty() ? 0 : sampled * entries / ends_.size();
  for (const auto& [id, change] : tokens_)
    if (change.kind != TokenKind::kAbsent && change.end_s() <= now_s) ++ended;
  for (const auto& [id, mark] : marks_)
    if (mark.until_s <= now_s) ++ended;
  return ended > 0 && ended * limits::kEndedShare >= entries + changes();
}

Result<TokenShard::Ended> TokenShard::rewrite(int64_t now_s) {
  SegmentBuilder builder;
  Ended ended;
  EndSample sample(view_.tokens() + view_.marks() + changes());
  const auto has_ended = [&](const TokenId& id, TokenKind kind, int64_t end_s) {
    if (end_s > now_s) {
      sample.add(end_s);
      return false;
    }
    const bool lived = kind == TokenKind::kLiving;
    ++(lived ? ended.living : ended.deleted);
    ended.keys.push_back({lived ? EventKind::kToken : EventKind::kDeleted, id});
    return true;
  };
  merge(
      view_.tokens(), [&](uint32_t at) { return view_.token_id(at); }, tokens_,
      [&](uint32_t at) {
        if (!has_ended(view_.token_id(at), view_.kind(at), view_.end_s(at)))
          builder.copy_token(view_, at);
      },
      [&](auto change) {
        const auto& [id, to] = *change;
        if (to.kind == TokenKind::kAbsent || has_ended(id, to.kind, to.end_s())) return;
        if (to.record)
          builder.add_living(id, *to.record);
        else
          builder.add_deleted(id, to.until_s);
      });
  const auto add_mark = [&](const TokenId& id, const Mark& mark) {
    if (mark.until_s > now_s) {
      sample.add(mark.until_s);
      return builder.add_mark(id, mark);
    }
    ++ended.marks;
    ended.keys.push_back({EventKind::kMark, id});
  };
  merge(
      view_.marks(), [&](uint32_t at) { return view_.mark_id(at); }, marks_,
      [&](uint32_t at) { add_mark(view_.mark_id(at), view_.mark(at)); },
      [&](auto change) { add_mark(change->first, change->second); });
  rego::SharedBytesPtr written;
  if (!builder.is_empty()) {
    NOTP_ASSIGN(written, rego::SharedBytes::create(kFileName, builder.finish()));
  }
  base_ = std::move(written);
  view_ = base_ ? SegmentView(base_->view()) : SegmentView();
  ends_ = sample.take();
  tokens_.clear();
  marks_.clear();
  delta_.reset();
  return ended;
}

rego::TokenShard TokenShard::shared() const {
  if (!delta_ && changes() > 0) {
    SegmentBuilder builder;
    for (const auto& [id, change] : tokens_) {
      if (change.record)
        builder.add_living(id, *change.record);
      else if (change.kind == TokenKind::kDeleted)
        builder.add_deleted(id, change.until_s);
      else
        builder.add_absent(id);
    }
    for (const auto& [id, mark] : marks_) builder.add_mark(id, mark);
    auto bytes = std::make_shared<Bytes>();
    for (const ByteView piece : builder.finish()) *bytes += piece;
    delta_ = std::move(bytes);
  }
  return {base_, delta_};
}

}  // namespace notp::lane
