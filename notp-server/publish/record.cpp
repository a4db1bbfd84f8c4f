#include "notp-server/publish/record.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::publish {
namespace {

constexpr std::string_view kChecksum = "\nsha256 ";

// Takes the members of a record one by one; the first that is missing or of another type is
// reported.
class Members {
 public:
  explicit Members(const json::object& object) : object_(object) {}

  std::string text(std::string_view name) {
    const json::value* value = object_.if_contains(name);
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
    missing(name);
    return {};
  }
  // Older records do not have this member.
  bool flag(std::string_view name) const {
    const json::value* value = object_.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
  }
  uint64_t number(std::string_view name) {
    const json::value* value = object_.if_contains(name);
    if (value != nullptr && value->is_int64() && value->get_int64() >= 0)
      return static_cast<uint64_t>(value->get_int64());
    missing(name);
    return 0;
  }
  Hash hash(std::string_view name) {
    if (const auto value = Hash::from_hex(text(name))) return *value;
    missing(name);
    return {};
  }
  Result<void> complete() const {
    if (missing_.empty()) return {};
    return fail(ErrorCode::kCorrupt, fmt::format("its '{}' is missing or wrong", missing_));
  }

 private:
  void missing(std::string_view name) {
    if (missing_.empty()) missing_ = name;
  }

  const json::object& object_;
  std::string missing_;
};

Result<void> check_envelope(const PendingRelease& release) {
  auto envelope = trust::Envelope::decode(release.envelope);
  if (!envelope || envelope->payload_type != trust::kReleaseType ||
      trust::release_hash(envelope->payload) != release.release_hash)
    return fail(ErrorCode::kCorrupt, "its envelope is of another release");
  const auto statement = trust::Release::decode(envelope->payload);
  if (!statement || statement->ledger != release.ledger || statement->version != release.version)
    return fail(ErrorCode::kCorrupt, "its envelope is of another ledger or version");
  return {};
}

Result<ByteView> checked_json(std::string_view text) {
  const size_t end = text.rfind(kChecksum);
  if (end == std::string_view::npos) return fail(ErrorCode::kCorrupt, "it has no checksum");
  const ByteView document = text.substr(0, end);
  if (text.substr(end) != fmt::format("{}{}\n", kChecksum, sha256(document).hex()))
    return fail(ErrorCode::kCorrupt, "it is not what its checksum says");
  return document;
}

}  // namespace

std::string record_text(const PendingRelease& release) {
  const json::object object = {
      {"ledger", release.ledger.text()},
      {"version", release.version},
      {"release", release.release_hash.hex()},
      {"expected_head", release.expected_head_hash.hex()},
      {"publisher", release.publisher},
      {"message", release.message},
      {"break_dependants", release.break_dependants},
      {"received_ms", release.received_ms},
      {"artifact", release.artifact.hex()},
      {"artifact_bytes", release.artifact_bytes},
      {"envelope", to_base64(release.envelope)},
  };
  const std::string document = pretty_json(object);
  return fmt::format("{}{}{}\n", document, kChecksum, sha256(document).hex());
}

Result<PendingRelease> parse_record(std::string_view text) {
  NOTP_ASSIGN(const ByteView document, checked_json(text));
  const auto value = parse_json(document);
  if (!value || !value->is_object()) return fail(ErrorCode::kCorrupt, "it is not a JSON object");
  Members members(value->get_object());
  PendingRelease release;
  const auto ledger = model::LedgerId::parse(members.text("ledger"));
  release.version = members.number("version");
  release.release_hash = members.hash("release");
  release.expected_head_hash = members.hash("expected_head");
  release.publisher = members.text("publisher");
  release.message = members.text("message");
  release.break_dependants = members.flag("break_dependants");
  release.received_ms = static_cast<TimeMs>(members.number("received_ms"));
  release.artifact = members.hash("artifact");
  release.artifact_bytes = members.number("artifact_bytes");
  auto envelope = from_base64(members.text("envelope"));
  NOTP_TRY(members.complete());
  if (!ledger || !envelope) return fail(ErrorCode::kCorrupt, "its ledger or envelope is wrong");
  release.ledger = *ledger;
  release.envelope = *std::move(envelope);
  NOTP_TRY(check_envelope(release));
  return release;
}

}  // namespace notp::publish
