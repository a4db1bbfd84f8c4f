#include "tools/notp/mirror/mirror_status.hpp"

#include "common/storage/files.hpp"
#include "common/utf8_cut.hpp"

namespace notp::cli {
namespace {

constexpr size_t kStatusBytesMax = 256 << 10;
constexpr size_t kMessageBytesMax = 16 << 10;

json::object checked_json(const MirrorChecked& checked, TimeMs checked_ms) {
  return {{"commit", checked.commit},
          {"head", checked.head_hash.hex()},
          {"rules", checked.rules.hex()},
          {"invalid", checked.outcome == MirrorChecked::Outcome::kInvalid},
          {"pending", checked.outcome == MirrorChecked::Outcome::kPending},
          {"message", checked.message},
          {"at_ms", checked_ms}};
}

std::string text_at(const json::object& object, std::string_view name) {
  return json::value_to<std::string>(object.at(name));
}

template <typename Number>
Number number_at(const json::object& object, std::string_view name) {
  return object.at(name).to_number<Number>();
}

Result<MirrorChecked> checked_from(const json::object& object) {
  MirrorChecked out;
  out.commit = text_at(object, "commit");
  NOTP_ASSIGN(out.head_hash, Hash::from_hex(text_at(object, "head")));
  NOTP_ASSIGN(out.rules, Hash::from_hex(text_at(object, "rules")));
  if (object.at("invalid").as_bool()) out.outcome = MirrorChecked::Outcome::kInvalid;
  if (object.at("pending").as_bool()) out.outcome = MirrorChecked::Outcome::kPending;
  out.message = text_at(object, "message");
  return out;
}

Result<MirrorStatus> status_from(const json::object& object) {
  try {
    MirrorStatus out;
    out.state = parse_mirror_state(text_at(object, "state"));
    out.reason = parse_mirror_reason(text_at(object, "reason"));
    out.message = text_at(object, "message");
    out.code = text_at(object, "code");
    out.since_ms = number_at<TimeMs>(object, "since_ms");
    out.pass_ms = number_at<TimeMs>(object, "pass_ms");
    out.success_ms = number_at<TimeMs>(object, "success_ms");
    out.tip = {text_at(object, "ref"), text_at(object, "commit")};
    out.signer = text_at(object, "signer");
    out.behind_since_ms = number_at<TimeMs>(object, "behind_since_ms");
    out.head_version = number_at<uint64_t>(object, "head_version");
    out.releases = number_at<uint64_t>(object, "releases");
    out.proposals = number_at<uint64_t>(object, "proposals");
    out.holds = number_at<uint64_t>(object, "holds");
    out.refusals = number_at<uint64_t>(object, "refusals");
    out.failures = number_at<uint64_t>(object, "failures");
    out.released_ms = number_at<TimeMs>(object, "released_ms");
    if (const json::value* checked = object.if_contains("checked")) {
      NOTP_ASSIGN(out.checked, checked_from(checked->as_object()));
      out.checked_ms = number_at<TimeMs>(checked->as_object(), "at_ms");
    }
    return out;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kCorrupt, error.what());
  }
}

}  // namespace

void MirrorStatus::enter(MirrorState next, MirrorReason why, std::string text, TimeMs now_ms) {
  const bool is_new = next != state || why != reason || text != message;
  if (next != state || why != reason) since_ms = now_ms;
  if (is_new && next == MirrorState::kHeld) ++holds;
  if (is_new && next == MirrorState::kRefused) ++refusals;
  if (next == MirrorState::kFailing)
    ++failures;
  else
    success_ms = now_ms;
  if (next == MirrorState::kCurrent)
    behind_since_ms = 0;
  else if (next != MirrorState::kFailing && behind_since_ms == 0)
    behind_since_ms = now_ms;
  state = next;
  reason = why;
  message = std::move(text);
  message = utf8_cut(message, kMessageBytesMax);
  code.clear();
  pass_ms = now_ms;
}

void MirrorStatus::fail_with(const Error& error, MirrorReason why, TimeMs now_ms) {
  enter(MirrorState::kFailing, why, error.message, now_ms);
  code = error_traits(error.code).name;
}

json::object MirrorStatus::document() const {
  json::object out{{"state", mirror_state_name(state)},
                   {"reason", mirror_reason_name(reason)},
                   {"message", message},
                   {"code", code},
                   {"since_ms", since_ms},
                   {"pass_ms", pass_ms},
                   {"success_ms", success_ms},
                   {"ref", tip.ref},
                   {"commit", tip.commit},
                   {"signer", signer},
                   {"behind_since_ms", behind_since_ms},
                   {"head_version", head_version},
                   {"releases", releases},
                   {"proposals", proposals},
                   {"holds", holds},
                   {"refusals", refusals},
                   {"failures", failures},
                   {"released_ms", released_ms}};
  if (checked) out["checked"] = checked_json(*checked, checked_ms);
  return out;
}

MirrorStatus load_mirror_status(const std::filesystem::path& folder) {
  const auto text = read_file(folder / kMirrorStatusFile, kStatusBytesMax);
  if (!text) return {};
  const auto value = parse_json(*text);
  if (!value || !value->is_object()) return {};
  return status_from(value->get_object()).value_or(MirrorStatus());
}

Result<void> save_mirror_status(const std::filesystem::path& folder, const MirrorStatus& status) {
  return write_file(folder / kMirrorStatusFile, pretty_json(status.document()) + "\n");
}

}  // namespace notp::cli
