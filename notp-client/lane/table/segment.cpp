#include "notp-client/lane/table/segment.hpp"

#include <bit>
#include <cstring>
#include <utility>

#include "common/assert.hpp"

namespace notp::lane {

static_assert(std::endian::native == std::endian::little, "segments are little-endian");

namespace {

using feed::TokenId;
using feed::TokenRecord;

constexpr std::string_view kMagic = "NOTPSEG1";
constexpr size_t kHeaderBytes = 64;
constexpr size_t kMarkBytes = 16;
constexpr size_t kListBytes = 32;
constexpr size_t kUuidBytes = 16;
constexpr size_t kUuidTextBytes = 36;

// --- flags of a record
constexpr uint16_t kKindMask = 3;
constexpr uint16_t kHasIat = 1 << 2, kHasAuthTime = 1 << 3, kHasIss = 1 << 4, kHasClient = 1 << 5,
                   kHasScope = 1 << 6, kHasAud = 1 << 7, kHasAcr = 1 << 8, kHasAmr = 1 << 9,
                   kHasCnf = 1 << 10;
constexpr int kSubShift = 11, kSidShift = 13;  // two bits each
enum NameForm : uint16_t { kNone = 0, kUuid = 1, kText = 2, kAsClient = 3 };

template <class T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
void put(Bytes& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
ByteView view_of(const std::vector<uint32_t>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(uint32_t)};
}

uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}
int64_t difference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

uint64_t take_number(const char*& at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(*at++);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_dash(size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

// Returns the 16 bytes of a UUID in its usual form, which uuid_text() gives back.
std::optional<std::array<char, kUuidBytes>> uuid_of(std::string_view text) {
  if (text.size() != kUuidTextBytes) return std::nullopt;
  std::array<char, kUuidBytes> out;
  size_t byte = 0;
  for (size_t at = 0; at < text.size();) {
    if (is_dash(at)) {
      if (text[at++] != '-') return std::nullopt;
      continue;
    }
    const int high = digit(text[at]), low = digit(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[byte++] = static_cast<char>(high << 4 | low);
    at += 2;
  }
  return out;
}

std::string uuid_text(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(kUuidTextBytes);
  for (const char c : bytes) {
    if (is_dash(out.size())) out += '-';
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

Bytes joined(const std::vector<std::string>& list) {
  Bytes out;
  for (const std::string& each : list) {
    put_varint(out, each.size());
    out += each;
  }
  return out;
}

std::vector<std::string> split(ByteView list) {
  std::vector<std::string> out;
  const char* at = list.data();
  while (at < list.data() + list.size()) {
    const uint64_t size = take_number(at);
    out.emplace_back(at, size);
    at += size;
  }
  return out;
}

}  // namespace

// A record whose texts are still indices.
struct SegmentView::Packed {
  uint16_t flags = 0;
  int64_t end_s = 0, iat_s = 0, auth_time_s = 0;
  uint32_t iss = 0, client = 0, scope = 0, aud = 0, acr = 0, amr = 0;
  ByteView sub, sid, cnf;  // as they lie there

  uint16_t sub_form() const { return (flags >> kSubShift) & 3; }
  uint16_t sid_form() const { return (flags >> kSidShift) & 3; }
};

SegmentView::SegmentView(ByteView bytes) : bytes_(bytes) {
  if (bytes.empty()) return;
  NOTP_ASSERT(bytes.size() >= kHeaderBytes && bytes.starts_with(kMagic), "a segment");
  const char* at = bytes.data();
  tokens_ = load<uint32_t>(at + 8);
  marks_ = load<uint32_t>(at + 12);
  lists_ = load<uint32_t>(at + 16);
  texts_ = load<uint32_t>(at + 20);
  const auto text_bytes = load<uint64_t>(at + 24), record_bytes = load<uint64_t>(at + 32);
  at += kHeaderBytes;
  ids_ = std::exchange(at, at + tokens_ * TokenId::kSize);
  mark_ids_ = std::exchange(at, at + marks_ * (TokenId::kSize + kMarkBytes));
  list_ids_ = std::exchange(at, at + lists_ * (TokenId::kSize + kListBytes));
  offsets_ = std::exchange(at, at + (tokens_ + 1ULL) * sizeof(uint32_t));
  text_offsets_ = std::exchange(at, at + (texts_ + 1ULL) * sizeof(uint32_t));
  text_bytes_ = std::exchange(at, at + text_bytes);
  records_ = std::exchange(at, at + record_bytes);
  statuses_ = at;
}

TokenId SegmentView::id_at(const char* ids, uint32_t at) {
  TokenId id;
  std::memcpy(id.bytes.data(), ids + size_t{at} * TokenId::kSize, TokenId::kSize);
  return id;
}

uint32_t SegmentView::lower_bound(const char* ids, uint32_t count, const TokenId& id) {
  uint32_t first = 0;
  while (count > 0) {
    const uint32_t half = count / 2, middle = first + half;
    if (std::memcmp(ids + size_t{middle} * TokenId::kSize, id.bytes.data(), TokenId::kSize) < 0) {
      first = middle + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

std::optional<uint32_t> SegmentView::find(const char* ids, uint32_t count, const TokenId& id) {
  const uint32_t at = lower_bound(ids, count, id);
  if (at == count || id_at(ids, at) != id) return std::nullopt;
  return at;
}

std::optional<uint32_t> SegmentView::find_token(const TokenId& id) const {
  return find(ids_, tokens_, id);
}
std::optional<uint32_t> SegmentView::find_mark(const TokenId& id) const {
  return find(mark_ids_, marks_, id);
}
std::optional<uint32_t> SegmentView::find_list(const TokenId& id) const {
  return find(list_ids_, lists_, id);
}

ByteView SegmentView::encoded(uint32_t at) const {
  const char* const offset = offsets_ + at * sizeof(uint32_t);
  const auto begin = load<uint32_t>(offset), end = load<uint32_t>(offset + sizeof(uint32_t));
  return {records_ + begin, end - begin};
}

ByteView SegmentView::text(uint32_t index) const {
  const char* const offset = text_offsets_ + index * sizeof(uint32_t);
  const auto begin = load<uint32_t>(offset), end = load<uint32_t>(offset + sizeof(uint32_t));
  return {text_bytes_ + begin, end - begin};
}

TokenKind SegmentView::kind(uint32_t at) const {
  return static_cast<TokenKind>(load<uint16_t>(encoded(at).data()) & kKindMask);
}

int64_t SegmentView::end_s(uint32_t at) const {
  const ByteView bytes = encoded(at);
  if (bytes.size() <= sizeof(uint16_t)) return 0;
  const char* number = bytes.data() + sizeof(uint16_t);
  return static_cast<int64_t>(take_number(number));
}

SegmentView::Packed SegmentView::packed(uint32_t index) const {
  const ByteView bytes = encoded(index);
  const char* at = bytes.data();
  Packed out{.flags = load<uint16_t>(at)};
  at += sizeof(uint16_t);
  const auto has = [&](uint16_t flag) { return (out.flags & flag) != 0; };
  if ((out.flags & kKindMask) != static_cast<uint16_t>(TokenKind::kAbsent))
    out.end_s = static_cast<int64_t>(take_number(at));
  const auto time = [&] { return difference(out.end_s, unzigzag(take_number(at))); };
  if (has(kHasIat)) out.iat_s = time();
  if (has(kHasAuthTime)) out.auth_time_s = time();
  const auto index_of = [&] { return static_cast<uint32_t>(take_number(at)); };
  if (has(kHasIss)) out.iss = index_of();
  if (has(kHasClient)) out.client = index_of();
  if (has(kHasScope)) out.scope = index_of();
  if (has(kHasAud)) out.aud = index_of();
  if (has(kHasAcr)) out.acr = index_of();
  if (has(kHasAmr)) out.amr = index_of();
  const auto text_of = [&] {
    const uint64_t size = take_number(at);
    return ByteView(std::exchange(at, at + size), size);
  };
  const auto name_of = [&](uint16_t form) {
    if (form == kUuid) return ByteView(std::exchange(at, at + kUuidBytes), kUuidBytes);
    return form == kText ? text_of() : ByteView();
  };
  out.sub = name_of(out.sub_form());
  out.sid = name_of(out.sid_form());
  if (has(kHasCnf)) out.cnf = text_of();
  return out;
}

TokenRecord SegmentView::record(uint32_t at) const {
  const Packed in = packed(at);
  const auto text_if = [&](uint16_t flag, uint32_t index) {
    return (in.flags & flag) != 0 ? text(index) : ByteView();
  };
  TokenRecord out{.exp_s = in.end_s, .iat_s = in.iat_s, .auth_time_s = in.auth_time_s};
  out.iss = text_if(kHasIss, in.iss);
  out.client = text_if(kHasClient, in.client);
  out.scope = text_if(kHasScope, in.scope);
  out.acr = text_if(kHasAcr, in.acr);
  out.aud = split(text_if(kHasAud, in.aud));
  out.amr = split(text_if(kHasAmr, in.amr));
  const auto name = [&](uint16_t form, ByteView bytes) {
    if (form == kUuid) return uuid_text(bytes);
    return form == kAsClient ? out.client : std::string(bytes);
  };
  out.sub = name(in.sub_form(), in.sub);
  out.sid = name(in.sid_form(), in.sid);
  out.cnf = in.cnf;
  return out;
}

Mark SegmentView::mark(uint32_t at) const {
  const char* const mark = mark_ids_ + size_t{marks_} * TokenId::kSize + size_t{at} * kMarkBytes;
  return {load<int64_t>(mark), load<int64_t>(mark + 8)};
}

StatusList SegmentView::list(uint32_t at) const {
  const char* const list = list_ids_ + size_t{lists_} * TokenId::kSize + size_t{at} * kListBytes;
  return {.bits = load<uint32_t>(list + 8),
          .until_s = load<int64_t>(list),
          .statuses = {statuses_ + load<uint64_t>(list + 16), load<uint64_t>(list + 24)}};
}

void SegmentBuilder::begin(const TokenId& id) {
  ids_ += id.view();
  offsets_.push_back(static_cast<uint32_t>(records_.size()));
}

void SegmentBuilder::put_flags(uint16_t flags) { put(records_, flags); }
void SegmentBuilder::put_index(uint32_t index) { put_varint(records_, index); }

uint32_t SegmentBuilder::text(ByteView text) {
  const auto [found, is_new] =
      interned_.try_emplace(std::string(text), static_cast<uint32_t>(text_offsets_.size()));
  if (is_new) {
    text_offsets_.push_back(static_cast<uint32_t>(texts_.size()));
    texts_ += text;
  }
  return found->second;
}

uint32_t SegmentBuilder::copied_text(const SegmentView& from, uint32_t index) {
  if (copied_.empty()) copied_.resize(from.texts_);
  if (copied_[index] == 0) copied_[index] = text(from.text(index)) + 1;
  return copied_[index] - 1;
}

void SegmentBuilder::add_deleted(const TokenId& id, int64_t until_s) {
  begin(id);
  put_flags(static_cast<uint16_t>(TokenKind::kDeleted));
  put_varint(records_, static_cast<uint64_t>(until_s));
}

void SegmentBuilder::add_absent(const TokenId& id) {
  begin(id);
  put_flags(static_cast<uint16_t>(TokenKind::kAbsent));
}

void SegmentBuilder::add_living(const TokenId& id, const TokenRecord& record) {
  begin(id);
  uint16_t flags = static_cast<uint16_t>(TokenKind::kLiving);
  const auto flag = [&](bool has, uint16_t bit) { flags |= has ? bit : 0; };
  flag(record.iat_s != 0, kHasIat);
  flag(record.auth_time_s != 0, kHasAuthTime);
  flag(!record.iss.empty(), kHasIss);
  flag(!record.client.empty(), kHasClient);
  flag(!record.scope.empty(), kHasScope);
  flag(!record.aud.empty(), kHasAud);
  flag(!record.acr.empty(), kHasAcr);
  flag(!record.amr.empty(), kHasAmr);
  flag(!record.cnf.empty(), kHasCnf);
  const auto sub = uuid_of(record.sub), sid = uuid_of(record.sid);
  const uint16_t sub_form = record.sub.empty()            ? kNone
                            : record.sub == record.client ? kAsClient
                            : sub                         ? kUuid
                                                          : kText;
  const uint16_t sid_form = record.sid.empty() ? kNone : sid ? kUuid : kText;
  flags |= static_cast<uint16_t>(sub_form << kSubShift | sid_form << kSidShift);
  put_flags(flags);
  put_varint(records_, static_cast<uint64_t>(record.exp_s));
  const auto time = [&](int64_t time_s) {
    put_varint(records_, zigzag(difference(record.exp_s, time_s)));
  };
  if (record.iat_s != 0) time(record.iat_s);
  if (record.auth_time_s != 0) time(record.auth_time_s);
  if (!record.iss.empty()) put_index(text(record.iss));
  if (!record.client.empty()) put_index(text(record.client));
  if (!record.scope.empty()) put_index(text(record.scope));
  if (!record.aud.empty()) put_index(text(joined(record.aud)));
  if (!record.acr.empty()) put_index(text(record.acr));
  if (!record.amr.empty()) put_index(text(joined(record.amr)));
  const auto text_bytes = [&](ByteView bytes) {
    put_varint(records_, bytes.size());
    records_ += bytes;
  };
  const auto name = [&](uint16_t form, const auto& uuid, ByteView whole) {
    if (form == kUuid) records_.append(uuid->data(), uuid->size());
    if (form == kText) text_bytes(whole);
  };
  name(sub_form, sub, record.sub);
  name(sid_form, sid, record.sid);
  if (!record.cnf.empty()) text_bytes(record.cnf);
}

void SegmentBuilder::copy_token(const SegmentView& from, uint32_t at) {
  begin(from.token_id(at));
  const SegmentView::Packed in = from.packed(at);
  if ((in.flags & kKindMask) != static_cast<uint16_t>(TokenKind::kLiving)) {
    records_ += from.encoded(at);
    return;
  }
  put_flags(in.flags);
  put_varint(records_, static_cast<uint64_t>(in.end_s));
  const auto has = [&](uint16_t flag) { return (in.flags & flag) != 0; };
  if (has(kHasIat)) put_varint(records_, zigzag(difference(in.end_s, in.iat_s)));
  if (has(kHasAuthTime)) put_varint(records_, zigzag(difference(in.end_s, in.auth_time_s)));
  if (has(kHasIss)) put_index(copied_text(from, in.iss));
  if (has(kHasClient)) put_index(copied_text(from, in.client));
  if (has(kHasScope)) put_index(copied_text(from, in.scope));
  if (has(kHasAud)) put_index(copied_text(from, in.aud));
  if (has(kHasAcr)) put_index(copied_text(from, in.acr));
  if (has(kHasAmr)) put_index(copied_text(from, in.amr));
  const auto name = [&](uint16_t form, ByteView bytes) {
    if (form == kText) put_varint(records_, bytes.size());
    records_ += bytes;
  };
  name(in.sub_form(), in.sub);
  name(in.sid_form(), in.sid);
  if (has(kHasCnf)) name(kText, in.cnf);
}

void SegmentBuilder::add_mark(const TokenId& id, const Mark& mark) {
  mark_ids_ += id.view();
  put(marks_, mark.not_before_s);
  put(marks_, mark.until_s);
}

void SegmentBuilder::add_list(const TokenId& id, const StatusList& list) {
  list_ids_ += id.view();
  put(lists_, list.until_s);
  put(lists_, uint64_t{list.bits});
  put(lists_, status_bytes_);
  put(lists_, uint64_t{list.statuses.size()});
  statuses_.push_back(list.statuses);
  status_bytes_ += list.statuses.size();
}

std::vector<ByteView> SegmentBuilder::finish() {
  const auto tokens = static_cast<uint32_t>(offsets_.size());
  const auto texts = static_cast<uint32_t>(text_offsets_.size());
  NOTP_ASSERT(records_.size() <= UINT32_MAX && texts_.size() <= UINT32_MAX, "a shard of some MiB");
  offsets_.push_back(static_cast<uint32_t>(records_.size()));
  text_offsets_.push_back(static_cast<uint32_t>(texts_.size()));
  std::vector<ByteView> pieces{{},        ids_,    mark_ids_,         marks_,
                               list_ids_, lists_,  view_of(offsets_), view_of(text_offsets_),
                               texts_,    records_};
  pieces.insert(pieces.end(), statuses_.begin(), statuses_.end());
  uint64_t total = kHeaderBytes;
  for (const ByteView piece : pieces) total += piece.size();
  header_ = kMagic;
  put(header_, tokens);
  put(header_, static_cast<uint32_t>(mark_ids_.size() / TokenId::kSize));
  put(header_, static_cast<uint32_t>(list_ids_.size() / TokenId::kSize));
  put(header_, texts);
  put(header_, uint64_t{texts_.size()});
  put(header_, uint64_t{records_.size()});
  put(header_, status_bytes_);
  put(header_, total);
  put(header_, uint64_t{0});
  pieces.front() = header_;
  return pieces;
}

}  // namespace notp::lane
