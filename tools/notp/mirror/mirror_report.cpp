#include "tools/notp/mirror/mirror_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "common/log.hpp"

namespace notp::cli {
namespace {

constexpr size_t kMessageBytesMax = 4'096;

bool needs_person(MirrorState state) {
  return state == MirrorState::kHeld || state == MirrorState::kRefused ||
         state == MirrorState::kFailing;
}

json::value time_json(TimeMs time_ms) {
  return time_ms == 0 ? json::value(nullptr) : json::value(utc_time(time_ms));
}

json::object mirror_json(const MirrorReport& report) {
  const auto& [config, status] = report;
  return {{"name", config->name},
          {"ledger", config->ledger.text()},
          {"repository", config->upstream.repository},
          {"state", mirror_state_name(status->state)},
          {"reason", mirror_reason_name(status->reason)},
          {"message", printable(status->message, kMessageBytesMax)},
          {"code", status->code},
          {"since", time_json(status->since_ms)},
          {"last_pass", time_json(status->pass_ms)},
          {"last_success", time_json(status->success_ms)},
          {"ref", status->tip.ref},
          {"commit", status->tip.commit},
          {"signer", status->signer},
          {"behind_since", time_json(status->behind_since_ms)},
          {"head_version", status->head_version},
          {"released", time_json(status->released_ms)},
          {"releases", status->releases},
          {"proposals", status->proposals},
          {"holds", status->holds},
          {"refusals", status->refusals},
          {"failures", status->failures}};
}

Colour colour_of(MirrorState state) {
  if (state == MirrorState::kCurrent) return Colour::kGreen;
  return needs_person(state) ? Colour::kRed : Colour::kYellow;
}

std::string version_text(uint64_t version) {
  return version == 0 ? "-" : fmt::format("v{}", version);
}

}  // namespace

json::object mirrors_json(const std::vector<MirrorReport>& reports, TimeMs now_ms) {
  json::array mirrors;
  bool ok = true;
  for (const MirrorReport& report : reports) {
    mirrors.push_back(mirror_json(report));
    ok = ok && !needs_person(report.status->state);
  }
  return {{"ok", ok}, {"time", utc_time(now_ms)}, {"mirrors", std::move(mirrors)}};
}

std::string mirrors_text(const Output& output, const std::vector<MirrorReport>& reports,
                         TimeMs now_ms) {
  std::vector<std::vector<std::string>> rows{
      {"MIRROR", "LEDGER", "STATE", "HEAD", "UPSTREAM", "COMMIT", "LAST PASS"}};
  std::string below;
  for (const auto& [config, status] : reports) {
    rows.push_back({config->name, config->ledger.text(),
                    output.paint(colour_of(status->state), mirror_state_name(status->state)),
                    version_text(status->head_version), printable(status->tip.ref),
                    status->tip.commit.substr(0, 12),
                    status->pass_ms == 0 ? "never" : ago(status->pass_ms, now_ms)});
    if (!status->message.empty())
      below +=
          fmt::format("\n{}: {}\n", config->name, printable(status->message, kMessageBytesMax));
  }
  return table(output, rows) + below;
}

std::string mirrors_line(const std::vector<MirrorReport>& reports) {
  std::map<MirrorState, size_t> counts;
  for (const MirrorReport& report : reports) ++counts[report.status->state];
  std::vector<std::string> parts;
  for (const auto& [state, count] : counts)
    parts.push_back(fmt::format("{} {}", count, mirror_state_name(state)));
  return fmt::format("{}: {}", counted(reports.size(), "mirror"), fmt::join(parts, ", "));
}

void log_mirror_change(const MirrorConfig& config, const MirrorStatus& before,
                       const MirrorStatus& after) {
  const std::string ledger = config.ledger.text(), reason(mirror_reason_name(after.reason));
  if (after.releases > before.releases)
    log::info("mirror_published", {{"mirror", config.name},
                                   {"ledger", ledger},
                                   {"version", after.head_version},
                                   {"ref", after.tip.ref},
                                   {"upstream_commit", after.tip.commit},
                                   {"signer", after.signer}});
  if (after.state == before.state && after.reason == before.reason &&
      (after.message == before.message || after.state == MirrorState::kFailing))
    return;
  const std::string message = printable(after.message, kMessageBytesMax);
  switch (after.state) {
    case MirrorState::kHeld:
      log::warn("mirror_held", {{"mirror", config.name},
                                {"ledger", ledger},
                                {"reason", reason},
                                {"ref", after.tip.ref},
                                {"upstream_commit", after.tip.commit},
                                {"message", message}});
      break;
    case MirrorState::kWaiting:
      log::info(
          "mirror_waiting",
          {{"mirror", config.name}, {"ledger", ledger}, {"reason", reason}, {"message", message}});
      break;
    case MirrorState::kRefused:
      log::warn("mirror_refused", {{"mirror", config.name},
                                   {"ledger", ledger},
                                   {"ref", after.tip.ref},
                                   {"upstream_commit", after.tip.commit},
                                   {"message", message}});
      break;
    case MirrorState::kFailing:
      log::warn("mirror_failing", {{"mirror", config.name},
                                   {"ledger", ledger},
                                   {"reason", reason},
                                   {"code", after.code},
                                   {"message", message}});
      break;
    default:
      if (before.state != MirrorState::kUnknown)
        log::info("mirror_current", {{"mirror", config.name}, {"ledger", ledger}});
  }
}

}  // namespace notp::cli
