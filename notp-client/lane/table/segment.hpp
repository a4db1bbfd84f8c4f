// The layout of tokens, marks and status lists in memory that processes share. The worker's README,
// "Tokens", describes it byte by byte.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/feed/lane_event.hpp"

namespace notp::lane {

enum class TokenKind : uint8_t {
  kLiving = 0,
  kDeleted = 1,
  kAbsent = 2,  // only in a delta: what the base has of it does not count
};

struct Mark {
  int64_t not_before_s = 0, until_s = 0;
  bool operator==(const Mark&) const = default;
};

struct StatusList {
  uint32_t bits = 1;
  int64_t until_s = 0;
  ByteView statuses;  // inflated
};

// Reads what a SegmentBuilder of this process has written; other bytes are undefined behaviour.
class SegmentView {
 public:
  SegmentView() = default;  // empty
  explicit SegmentView(ByteView bytes);

  uint32_t tokens() const { return tokens_; }
  uint32_t marks() const { return marks_; }
  uint32_t lists() const { return lists_; }
  size_t size() const { return bytes_.size(); }

  feed::TokenId token_id(uint32_t at) const { return id_at(ids_, at); }
  // The first token whose id is not less, or tokens().
  uint32_t lower_bound(const feed::TokenId& id) const { return lower_bound(ids_, tokens_, id); }
  std::optional<uint32_t> find_token(const feed::TokenId& id) const;
  TokenKind kind(uint32_t at) const;
  int64_t end_s(uint32_t at) const;             // 0 for an absent one
  feed::TokenRecord record(uint32_t at) const;  // of a living one

  feed::TokenId mark_id(uint32_t at) const { return id_at(mark_ids_, at); }
  std::optional<uint32_t> find_mark(const feed::TokenId& id) const;
  Mark mark(uint32_t at) const;

  feed::TokenId list_id(uint32_t at) const { return id_at(list_ids_, at); }
  std::optional<uint32_t> find_list(const feed::TokenId& id) const;
  StatusList list(uint32_t at) const;

 private:
  friend class SegmentBuilder;
  struct Packed;

  static feed::TokenId id_at(const char* ids, uint32_t at);
  static uint32_t lower_bound(const char* ids, uint32_t count, const feed::TokenId& id);
  static std::optional<uint32_t> find(const char* ids, uint32_t count, const feed::TokenId& id);
  ByteView encoded(uint32_t at) const;
  Packed packed(uint32_t at) const;
  ByteView text(uint32_t index) const;

  ByteView bytes_;
  uint32_t tokens_ = 0, marks_ = 0, lists_ = 0, texts_ = 0;
  const char* ids_ = nullptr;
  const char* mark_ids_ = nullptr;
  const char* list_ids_ = nullptr;
  const char* offsets_ = nullptr;
  const char* text_offsets_ = nullptr;
  const char* text_bytes_ = nullptr;
  const char* records_ = nullptr;
  const char* statuses_ = nullptr;
};

// Writes one segment. Ids of each kind must be added in ascending order.
class SegmentBuilder {
 public:
  void add_living(const feed::TokenId& id, const feed::TokenRecord& record);
  void add_deleted(const feed::TokenId& id, int64_t until_s);
  void add_absent(const feed::TokenId& id);
  // Always of the same segment.
  void copy_token(const SegmentView& from, uint32_t at);
  void add_mark(const feed::TokenId& id, const Mark& mark);
  // `list.statuses` must live until the bytes are written.
  void add_list(const feed::TokenId& id, const StatusList& list);

  bool is_empty() const { return offsets_.empty() && marks_.empty() && lists_.empty(); }
  // The pieces of the segment, one after the other; they live as long as this object, which is not
  // used otherwise afterwards.
  std::vector<ByteView> finish();

 private:
  void begin(const feed::TokenId& id);
  uint32_t text(ByteView text);
  uint32_t copied_text(const SegmentView& from, uint32_t index);
  void put_flags(uint16_t flags);
  void put_index(uint32_t index);

  Bytes ids_, records_, texts_, mark_ids_, marks_, list_ids_, lists_;
  std::vector<uint32_t> offsets_, text_offsets_;
  std::unordered_map<std::string, uint32_t> interned_;
  std::vector<uint32_t> copied_;  // index of a text in the segment that is copied from, to ours + 1
  std::vector<ByteView> statuses_;
  uint64_t status_bytes_ = 0;
  Bytes header_;
};

}  // namespace notp::lane
