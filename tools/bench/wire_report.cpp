#include "tools/bench/wire_report.hpp"

#include <fmt/format.h>

#include <map>

#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr double kGeomeanTarget = 0.35;
constexpr uint64_t kRecordTargetBytes = 350;
constexpr double kRecordEncodeMs = 10, kRecordApplyMs = 15;
constexpr std::string_view kRecordTag = "c2_record";
constexpr double kPushRoundTrips = 0.5, kPullRoundTrips = 1, kResumeRoundTrips = 1,
                 kUnknownBaseRoundTrips = 2;
constexpr double kTlsRoundTrips = 1;
// Header, content type and tag of a TLS 1.3 record with AES-GCM or ChaCha20-Poly1305.
constexpr uint64_t kTlsRecordBytes = 5 + 1 + 16;
// The best content found for each change of the reference workload at scale 1; the goal for the
// whole session is 1.15 × that + 250 bytes.
const std::map<std::string, uint64_t, std::less<>> kBestFound = {
    {"c1_rule", 13},           {"c2_record", 39},   {"c3_add100", 6'141},
    {"c4_keys", 1'894},        {"c5_rename", 40},   {"c6_refactor50", 1'736},
    {"c7_one_percent", 7'030}, {"c8_new20", 1'615}, {"c9_reexport", 320'000}};
constexpr uint64_t kReferenceModelBytes = 100'000'000;

bool is_reference(const WireResult& result) { return result.model_bytes >= kReferenceModelBytes; }

// The target of a push in bytes. Besides, no change may cost more than the better git arm.
std::optional<uint64_t> target_bytes(const WireResult& result, const std::string& tag) {
  const auto best = kBestFound.find(tag);
  if (best == kBestFound.end() || !is_reference(result)) return std::nullopt;
  if (tag == kRecordTag) return kRecordTargetBytes;
  return best->second * 115 / 100 + 250;
}

// Whether a push meets each of its targets; the first release, the whole model, has none.
std::optional<bool> is_met(const WireResult& result, const WireChange& change) {
  if (&change == result.changes.data()) return std::nullopt;
  const auto target = target_bytes(result, change.tag);
  return change.push.bytes() <= change.best_git_bytes() &&
         (!target || change.push.bytes() <= *target);
}

std::string met_text(std::optional<bool> met) { return met ? bench::met_text(*met) : "-"; }

uint64_t tls_bytes(const Traffic& traffic) {
  return kTlsRecordBytes * (traffic.up_records + traffic.down_records);
}

std::string row(const WireResult& result, const WireChange& change) {
  const auto target = target_bytes(result, change.tag);
  return fmt::format(
      "{:<15}{:>11}{:>7}{:>11}{:>11}{:>12}{:>12}{:>13}{:>8.3f}{:>12}{:>8}{:>6.1f}{:>6.1f}{:>6.1f}"
      "{:>10.1f}{:>9.1f}{:>9.1f}\n",
      change.tag, grouped(change.push.bytes()), grouped(change.push.up_bytes()),
      change.pull ? grouped(change.pull->bytes()) : "-", grouped(change.artifact_bytes),
      grouped(change.git.bytes()), grouped(change.git_bitmap.bytes()),
      grouped(change.bundle.bytes()), change.ratio_to_git(), target ? grouped(*target) : "-",
      met_text(is_met(result, change)), change.push.round_trips(),
      change.pull ? change.pull->round_trips() - kTlsRoundTrips : 0, change.git.round_trips(),
      change.codec.encode_ms, change.codec.apply_ms, change.codec.control_ms);
}

// Bytes of a push outside the artifact: Offer, heads of Chunks, Commit, and any difference from the
// artifact as encoded here.
int64_t frame_bytes(const WireChange& change) {
  return static_cast<int64_t>(change.push.bytes() - tls_bytes(change.push)) -
         static_cast<int64_t>(change.codec.artifact_bytes);
}

std::string parts_row(const WireChange& change) {
  return fmt::format("{:<15}{:>11}{:>9}{:>8}{:>10}{:>9}{:>11}{:>14}\n", change.tag,
                     grouped(change.push.bytes()), tls_bytes(change.push), frame_bytes(change),
                     change.codec.envelope_bytes, change.codec.program_bytes,
                     grouped(change.codec.content_bytes), grouped(change.codec.new_bytes));
}

json::object change_json(const WireResult& result, const WireChange& change) {
  json::object out{{"tag", change.tag},
                   {"version", change.version},
                   {"notp_bytes", change.push.bytes()},
                   {"notp_up_bytes", change.push.up_bytes()},
                   {"notp_down_bytes", change.push.down_bytes()},
                   {"notp_tls_bytes", tls_bytes(change.push)},
                   {"notp_frame_bytes", frame_bytes(change)},
                   {"envelope_bytes", change.codec.envelope_bytes},
                   {"program_bytes", change.codec.program_bytes},
                   {"content_bytes", change.codec.content_bytes},
                   {"artifact_bytes", change.artifact_bytes},
                   {"git_bytes", change.git.bytes()},
                   {"git_bitmap_bytes", change.git_bitmap.bytes()},
                   {"bundle_bytes", change.bundle.bytes()},
                   {"ratio_vs_git", change.ratio_to_git()},
                   {"round_trips", change.push.round_trips()},
                   {"git_round_trips", change.git.round_trips()},
                   {"changed_bytes", change.codec.new_bytes},
                   {"encode_ms", change.codec.encode_ms},
                   {"apply_ms", change.codec.apply_ms},
                   {"control_ms", change.codec.control_ms}};
  if (change.pull) {
    out["pull_bytes"] = change.pull->bytes();
    out["pull_up_bytes"] = change.pull->up_bytes();
    out["pull_down_bytes"] = change.pull->down_bytes();
    out["pull_round_trips"] = change.pull->round_trips();
  }
  if (const auto target = target_bytes(result, change.tag)) out["target_bytes"] = *target;
  if (const auto met = is_met(result, change)) out["met"] = *met;
  return out;
}

// The start of a session, compared with a pull of the same release on a known base and with git.
struct StartRow {
  std::string start;
  const WireChange* change;
  const SessionCost* cost;
  double round_trips_target;  // 0: none

  double round_trips() const { return cost->round_trips - kTlsRoundTrips; }
};

std::vector<StartRow> start_rows(const WireResult& result) {
  std::vector<StartRow> rows;
  for (const WireChange& change : result.changes)
    if (change.cut) rows.push_back({"resume", &change, &change.cut->resumed, kResumeRoundTrips});
  if (!result.starts) return rows;
  const WireChange& last = result.changes.back();
  rows.push_back({"unknown base", &last, &result.starts->unknown_base, kUnknownBaseRoundTrips});
  if (result.starts->repair) rows.push_back({"repair", &last, &*result.starts->repair, 0});
  return rows;
}

std::string starts_table(const WireResult& result) {
  const std::vector<StartRow> rows = start_rows(result);
  if (rows.empty()) return {};
  std::string out = fmt::format(
      "\nOther starts of a session, TLS handshake and end included\n{:<15}{:<15}{:>13}{:>9}{:>13}"
      "{:>13}{:>15}{:>6}{:>9}{:>6}\n",
      "start", "release", "bytes", "up", "cut after", "plain pull", "whole model", "RT", "target",
      "git");
  for (const StartRow& row : rows)
    out +=
        fmt::format("{:<15}{:<15}{:>13}{:>9}{:>13}{:>13}{:>15}{:>6.1f}{:>9}{:>6.1f}\n", row.start,
                    row.change->tag, grouped(row.cost->bytes()), grouped(row.cost->up_bytes),
                    row.start == "resume" ? grouped(row.change->cut->bytes_until_cut) : "-",
                    grouped(row.change->pull->bytes()),
                    grouped(result.changes.front().pull->bytes()), row.round_trips(),
                    row.round_trips_target > 0 ? fmt::format("{}", row.round_trips_target) : "-",
                    row.change->git.round_trips());
  return out +
         "resume: the connection is cut when half of the artifact has come down, and the agent "
         "dials again.\nunknown base: the node has the content of the release before, as a release "
         "of another registry.\nrepair: it has the release, with one damaged policy.\n";
}

json::array starts_json(const WireResult& result) {
  json::array out;
  for (const StartRow& row : start_rows(result)) {
    json::object start{{"start", row.start},
                       {"tag", row.change->tag},
                       {"bytes", row.cost->bytes()},
                       {"up_bytes", row.cost->up_bytes},
                       {"down_bytes", row.cost->down_bytes},
                       {"pull_bytes", row.change->pull->bytes()},
                       {"whole_bytes", result.changes.front().pull->bytes()},
                       {"round_trips", row.round_trips()},
                       {"git_round_trips", row.change->git.round_trips()}};
    if (row.start == "resume") start["bytes_until_cut"] = row.change->cut->bytes_until_cut;
    if (row.round_trips_target > 0) {
      start["round_trips_target"] = row.round_trips_target;
      start["met"] = row.round_trips() <= row.round_trips_target;
    }
    out.push_back(std::move(start));
  }
  return out;
}

// The change with the largest `of`; the first release does not count.
template <typename Of>
const WireChange& worst(const WireResult& result, Of of) {
  return *std::max_element(result.changes.begin() + 1, result.changes.end(),
                           [&](const WireChange& a, const WireChange& b) { return of(a) < of(b); });
}

void add_round_trips(const WireResult& result, std::vector<Target>& out) {
  const auto add = [&](std::string what, double figure, double most, const WireChange& change) {
    out.push_back(
        {std::move(what), figure, most, "git fetch, the same change", change.git.round_trips()});
  };
  const auto push = [](const WireChange& change) { return change.push.round_trips(); };
  const WireChange& pushed = worst(result, push);
  add("round trips of a push, the most", push(pushed), kPushRoundTrips, pushed);
  if (result.changes.back().pull) {
    const auto pull = [](const WireChange& c) { return c.pull->round_trips() - kTlsRoundTrips; };
    const WireChange& pulled = worst(result, pull);
    add("round trips of a pull, the most", pull(pulled), kPullRoundTrips, pulled);
  }
  for (const StartRow& row : start_rows(result))
    if (row.round_trips_target > 0)
      add(fmt::format("round trips, {}, {}", row.start, row.change->tag), row.round_trips(),
          row.round_trips_target, *row.change);
}

std::vector<Target> targets_of(const WireResult& result) {
  std::vector<Target> out{{"geometric mean of push / better git, each change",
                           result.geomean_vs_git(), kGeomeanTarget, "git", 1}};
  const WireChange& dearest = worst(result, [](const WireChange& c) { return c.ratio_to_git(); });
  out.push_back({fmt::format("push / better git, the dearest change ({})", dearest.tag),
                 dearest.ratio_to_git(), 1, "git", 1});
  for (const WireChange& change : result.changes) {
    const auto target = target_bytes(result, change.tag);
    if (!target) continue;
    out.push_back({fmt::format("bytes of a push, {}", change.tag),
                   static_cast<double>(change.push.bytes()), static_cast<double>(*target),
                   "better git", static_cast<double>(change.best_git_bytes())});
    if (change.tag != kRecordTag) continue;
    const std::string touch = "memcpy + SHA-256 of it";
    out.push_back({"ms to encode one record of a large document", change.codec.encode_ms,
                   kRecordEncodeMs, touch, change.codec.control_ms});
    out.push_back(
        {"ms to apply it", change.codec.apply_ms, kRecordApplyMs, touch, change.codec.control_ms});
  }
  add_round_trips(result, out);
  return out;
}

}  // namespace

std::string wire_table(const WireResult& result) {
  std::string out = fmt::format(
      "Bytes of whole TCP streams, both ways, through one counting proxy. Model: {} files, {} "
      "bytes.\npush: an open session, TLS and Commit included; up: the agent's share. pull: a "
      "fresh session, handshake included.\ntarget: for push; each "
      "change is also to be no dearer than the better git. RT: turns of direction / 2 of push, "
      "pull and git, without\nTCP's handshake and TLS's.\n\n",
      grouped(result.model_files), grouped(result.model_bytes));
  out += fmt::format(
      "{:<15}{:>11}{:>7}{:>11}{:>11}{:>12}{:>12}{:>13}{:>8}{:>12}{:>8}{:>6}{:>6}{:>6}{:>10}"
      "{:>9}{:>9}\n",
      "change", "push", "up", "pull", "artifact", "git", "git bitmap", "tar.gz", "/ git", "target",
      "", "RT", "pull", "git", "encode ms", "apply ms", "control");
  for (const WireChange& change : result.changes) out += row(result, change);
  out += fmt::format(
      "\nWhere the bytes of a push go\n{:<15}{:>11}{:>9}{:>8}{:>10}{:>9}{:>11}{:>14}\n", "change",
      "push", "TLS", "frames", "envelope", "program", "content", "changed files");
  for (const WireChange& change : result.changes) out += parts_row(change);
  out += starts_table(result);
  out += targets_table(targets_of(result), "");
  out += fmt::format(
      "\nA session before any release (TLS 1.3, both certificates, Hello, Welcome): {} up, {} "
      "down\n"
      "control: memcpy + SHA-256 of the changed files, this process, this machine.\n",
      grouped(result.opening.up), grouped(result.opening.down));
  return out;
}

json::object wire_json(const WireResult& result, const CorpusLabels& labels) {
  json::array changes;
  for (const WireChange& change : result.changes) changes.push_back(change_json(result, change));
  json::object out{{"suite", "wire"},
                   {"model_bytes", result.model_bytes},
                   {"model_files", result.model_files},
                   {"changes", std::move(changes)},
                   {"starts", starts_json(result)},
                   {"targets", targets_json(targets_of(result))},
                   {"geomean_vs_git", result.geomean_vs_git()},
                   {"geomean_target", kGeomeanTarget},
                   {"session_up_bytes", result.opening.up},
                   {"session_down_bytes", result.opening.down},
                   {"agent", "notp-client, embedded PDP"}};
  add_circumstances(out, labels);
  return out;
}

}  // namespace notp::bench
