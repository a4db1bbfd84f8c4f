#include "protocol/wire/proto_fields.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::wire {
namespace {

std::string clean(std::string_view text, size_t bytes_max) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_sequence_bytes(text);
    const std::string_view next = length == 0 ? kReplacement : text.substr(0, length);
    if (out.size() + next.size() > bytes_max) break;
    out.append(next);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

// Protobuf prints bad UTF-8 to standard error, where a peer could fill the log.
void silence_protobuf() {
  static const auto previous = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(previous);
}

}  // namespace

std::string clean_text(std::string_view text) { return clean(text, limits::kErrorTextBytesMax); }
std::string clean_name(std::string_view text) { return clean(text, limits::kNameBytesMax); }
std::string clean_identity(std::string_view text) { return clean(text, limits::kIdentityBytesMax); }

std::string hash_bytes(const Hash& hash) { return std::string(hash.view()); }
std::string hash_bytes_if_set(const Hash& hash) {
  return hash.is_zero() ? std::string() : hash_bytes(hash);
}

Bytes serialize(const google::protobuf::MessageLite& message) {
  Bytes out;
  NOTP_ASSERT(message.SerializeToString(&out), "a message of known size serialises");
  return out;
}

std::unexpected<Error> bad(std::string_view what) {
  return fail(ErrorCode::kMessage, std::string(what));
}

Result<void> parse(ByteView payload, google::protobuf::MessageLite& out) {
  silence_protobuf();
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(payload.data()),
                                            static_cast<int>(payload.size()));
  in.SetRecursionLimit(limits::kProtobufDepthMax);
  if (!out.ParseFromCodedStream(&in) || !in.ConsumedEntireMessage())
    return bad("the payload does not decode, or has text that is not UTF-8");
  return {};
}

Result<Hash> take_hash(const std::string& in) {
  if (in.empty()) return Hash{};
  if (in.size() != Hash::kSize)
    return bad(fmt::format("a hash is {} bytes long, not 32", in.size()));
  return Hash::from_bytes(in);
}

Result<std::vector<Hash>> take_hashes(const google::protobuf::RepeatedPtrField<std::string>& in) {
  std::vector<Hash> out;
  for (const std::string& row : in) {
    NOTP_ASSIGN(const Hash hash, take_hash(row));
    out.push_back(hash);
  }
  return out;
}

Result<std::optional<TraceContext>> take_trace(const std::string& in) {
  if (in.empty()) return std::nullopt;
  auto out = TraceContext::from_bytes(in);
  if (!out) return bad("a trace context is not 25 bytes with two ids");
  return out;
}

Result<CommitState> take_state(pb::Commit::State in) {
  switch (in) {
    case pb::Commit::STORED:
    case pb::Commit::ACTIVE:
    case pb::Commit::REJECTED:
      return static_cast<CommitState>(in);
    default:
      return bad(fmt::format("unknown state {}", static_cast<int>(in)));
  }
}

Result<trust::FreshnessState> take_freshness(pb::FreshnessState in) {
  switch (in) {
    case pb::UNTRACKED:
    case pb::FRESH:
    case pb::STALE:
    case pb::EXPIRED:
      return static_cast<trust::FreshnessState>(in);
    default:
      return bad(fmt::format("unknown freshness {}", static_cast<int>(in)));
  }
}

}  // namespace notp::wire
