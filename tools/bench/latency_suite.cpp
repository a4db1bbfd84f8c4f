#include "tools/bench/latency_suite.hpp"

#include <fmt/format.h>

#include <future>
#include <stop_token>

#include "common/storage/files.hpp"
#include "tools/bench/decision_probe.hpp"
#include "tools/bench/notp_arm.hpp"
#include "tools/bench/opa_arm.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

using std::chrono::steady_clock;
using Change = ProbeModel::Change;

constexpr TimeMs kActiveMs = 300'000;
constexpr int64_t kWarmUps = 1;  // first changes of a kind, not counted
constexpr std::array kChanges = {Change::kRule, Change::kRecord};
constexpr double kRuleP50Ms = 5, kRuleP99Ms = 15, kRecordMs = 150, kRecordRatio = 0.3;
constexpr uint64_t kReferenceBytes = 20'000'000;

class LatencySuite {
 public:
  explicit LatencySuite(const LatencyOptions& options) : options_(options) {}
  Result<LatencyResult> run();

 private:
  Result<void> measure_notp(LatencyResult& result, const std::filesystem::path& folder);
  Result<void> measure_notp_change(Change change, Publisher& publisher, uint16_t port,
                                   LatencyChange& out);
  Result<void> measure_opa(LatencyResult& result, const std::filesystem::path& folder);
  Result<void> measure_opa_change(Change change, OpaArm& opa, LatencyChange& out);
  void say(const std::string& line) const {
    if (options_.progress) options_.progress(line);
  }

  const LatencyOptions& options_;
  CountingProxy proxy_;  // outlives the arms
  std::unique_ptr<ProbeModel> model_;
  std::array<int64_t, 2> numbers_{};  // of the last change of each kind
  uint64_t version_ = 0;              // the registry's newest version
};

// Asks the PDP from another thread while `act` runs here; returns when it decided with the number.
Result<steady_clock::time_point> decided_after(DecisionProbe& probe, int64_t number,
                                               const std::function<Result<void>()>& act) {
  std::stop_source stop;
  auto decided = std::async(std::launch::async, [&probe, number, token = stop.get_token()] {
    return probe.await(number, kActiveMs, token);
  });
  if (auto done = act(); !done) {
    stop.request_stop();
    return std::unexpected(std::move(done).error());
  }
  return decided.get();
}

Result<void> LatencySuite::measure_notp_change(Change change, Publisher& publisher, uint16_t port,
                                               LatencyChange& out) {
  NOTP_ASSIGN(const auto probe, DecisionProbe::connect(port, ProbeModel::path_of(change)));
  int64_t& number = numbers_[static_cast<size_t>(change)];
  NOTP_TRY(probe->await(number, kActiveMs));
  const int64_t count = kWarmUps + static_cast<int64_t>(options_.updates);
  for (int64_t i = 0; i < count; ++i) {
    NOTP_TRY(model_->set(change, ++number));
    const auto began = steady_clock::now();
    NOTP_ASSIGN(const Publisher::Prepared prepared,
                publisher.prepare(model_->content(), model_->roots()));
    steady_clock::time_point start, confirmed;
    NOTP_ASSIGN(const auto active, decided_after(*probe, number, [&]() -> Result<void> {
                  start = steady_clock::now();
                  NOTP_ASSIGN(version_, publisher.publish(prepared));
                  confirmed = steady_clock::now();
                  return {};
                }));
    if (i < kWarmUps) continue;
    out.prepare.add(ms_between(began, start));
    out.result.add(ms_between(start, confirmed));
    out.active.add(ms_between(start, active));
    out.artifact_bytes = prepared.artifact->size();
  }
  return {};
}

Result<void> LatencySuite::measure_notp(LatencyResult& result,
                                        const std::filesystem::path& folder) {
  NOTP_ASSIGN(const auto arm,
              NotpArm::start(proxy_, {.programs = options_.programs, .folder = folder}));
  NOTP_TRY(arm->open_session(arm->push_agent()));
  NOTP_ASSIGN(const auto publisher, arm->open_publisher());
  NOTP_ASSIGN(const auto first, publisher->prepare(model_->content(), model_->roots()));
  NOTP_ASSIGN(version_, publisher->publish(first));
  NOTP_TRY(arm->push_agent().await_active(version_));
  for (const Change change : kChanges) {
    LatencyChange& out = result.changes[static_cast<size_t>(change)];
    NOTP_TRY(measure_notp_change(change, *publisher, arm->push_agent().port(), out));
    say(fmt::format("{}: active after {:.1f} ms, p50 of {}", out.name, out.active.p50(),
                    out.active.count()));
  }
  result.versions = version_;
  NOTP_TRY(arm->push_agent().await_active(version_));
  return arm->stop();
}

Result<void> LatencySuite::measure_opa_change(Change change, OpaArm& opa, LatencyChange& out) {
  NOTP_ASSIGN(const auto probe, DecisionProbe::connect(opa.port(), ProbeModel::path_of(change)));
  int64_t& number = numbers_[static_cast<size_t>(change)];
  NOTP_TRY(probe->await(number, kActiveMs));
  const int64_t count = kWarmUps + static_cast<int64_t>(options_.control_updates);
  for (int64_t i = 0; i < count; ++i) {
    NOTP_TRY(model_->set(change, ++number));
    const auto began = steady_clock::now();
    NOTP_ASSIGN(const model::Content bundle, OpaArm::pack(model_->folder()));
    const auto packed = steady_clock::now();
    NOTP_TRY(opa.await_waiting());
    steady_clock::time_point start;
    NOTP_ASSIGN(const auto active, decided_after(*probe, number, [&]() -> Result<void> {
                  start = steady_clock::now();
                  opa.serve(bundle);
                  return {};
                }));
    if (i < kWarmUps) continue;
    out.control_prepare.add(ms_between(began, packed));
    out.control.add(ms_between(start, active));
    out.bundle_bytes = bundle->size();
  }
  return {};
}

Result<void> LatencySuite::measure_opa(LatencyResult& result, const std::filesystem::path& folder) {
  NOTP_TRY(make_folders(folder));
  NOTP_ASSIGN(const auto opa, OpaArm::start(proxy_, options_.opa, folder));
  NOTP_ASSIGN(model::Content bundle, OpaArm::pack(model_->folder()));
  opa->serve(std::move(bundle));
  NOTP_TRY(opa->await_waiting());
  for (const Change change : kChanges) {
    LatencyChange& out = result.changes[static_cast<size_t>(change)];
    NOTP_TRY(measure_opa_change(change, *opa, out));
    say(fmt::format("{}: OPA after {:.1f} ms, p50 of {}", out.name, out.control.p50(),
                    out.control.count()));
  }
  return opa->stop();
}

Result<LatencyResult> LatencySuite::run() {
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make());
  NOTP_ASSIGN(model_, ProbeModel::make(scratch->path() / "model", options_.model));
  LatencyResult result;
  result.changes[0].name = "one rule";
  result.changes[1].name = "one record";
  result.model_bytes = model_->content().tree->total_bytes();
  result.model_files = model_->content().tree->files().size();
  result.document_bytes = model_->document_bytes();
  result.opa = opa_version(options_.opa);
  NOTP_TRY(measure_notp(result, scratch->path() / "notp"));
  NOTP_TRY(measure_opa(result, scratch->path() / "opa"));
  return result;
}

json::object change_json(const LatencyChange& change) {
  return {{"change", change.name},
          {"artifact_bytes", change.artifact_bytes},
          {"bundle_bytes", change.bundle_bytes},
          {"publish_to_result", change.result.to_json()},
          {"publish_to_active", change.active.to_json()},
          {"prepare", change.prepare.to_json()},
          {"opa_bundle_to_active", change.control.to_json()},
          {"opa_prepare", change.control_prepare.to_json()},
          {"ratio_p50", ratio(change.active.p50(), change.control.p50())},
          {"ratio_p99", ratio(change.active.p99(), change.control.p99())}};
}

std::vector<Target> targets_of(const LatencyResult& result) {
  if (result.document_bytes < kReferenceBytes) return {};
  const auto& [rule, record] = result.changes;
  const std::string opa = "OPA, long polling";
  return {
      {"ms to active, a rule, p50", rule.active.p50(), kRuleP50Ms, opa, rule.control.p50()},
      {"ms to active, a rule, p99", rule.active.p99(), kRuleP99Ms, opa, rule.control.p99()},
      {"ms to active, a record, p50", record.active.p50(), kRecordMs, opa, record.control.p50()},
      {"ms to active, a record, p50, of OPA", record.active.p50(),
       kRecordRatio * record.control.p50(), opa, record.control.p50()}};
}

}  // namespace

Result<LatencyResult> run_latency(const LatencyOptions& options) {
  return LatencySuite(options).run();
}

std::string latency_table(const LatencyResult& result) {
  std::string out = fmt::format(
      "Publish to active at the embedded PDP, loopback, ms. Model: {} files, {} bytes; its large "
      "document: {}.\nactive: from the publisher's first byte until the PDP decides with it; "
      "result: until the publisher's PublishResult.\nOPA: from the bundle server's new bundle "
      "until OPA, which long-polls it, decides with it. With n changes, p99 of n < 100 is the "
      "maximum.\n\n",
      grouped(result.model_files), grouped(result.model_bytes), grouped(result.document_bytes));
  out += fmt::format("{:<12}{:>6}{:>10}{:>10}{:>10}{:>10}{:>8}{:>11}{:>11}{:>9}{:>9}\n", "change",
                     "n", "active", "p99", "result", "p99", "n OPA", "OPA p50", "OPA p99", "/ p50",
                     "/ p99");
  for (const LatencyChange& c : result.changes)
    out += fmt::format(
        "{:<12}{:>6}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>8}{:>11.1f}{:>11.1f}{:>9}{:>9}\n",
        c.name, c.active.count(), c.active.p50(), c.active.p99(), c.result.p50(), c.result.p99(),
        c.control.count(), c.control.p50(), c.control.p99(),
        ratio_text(c.active.p50(), c.control.p50()), ratio_text(c.active.p99(), c.control.p99()));
  out += fmt::format(
      "\nBefore it, ms p50: signing and encoding, against tar and gzip\n{:<12}{:>10}"
      "{:>12}{:>10}{:>14}\n",
      "change", "encode", "artifact", "tar.gz", "bundle");
  for (const LatencyChange& c : result.changes)
    out += fmt::format("{:<12}{:>10.1f}{:>12}{:>10.1f}{:>14}\n", c.name, c.prepare.p50(),
                       grouped(c.artifact_bytes), c.control_prepare.p50(), grouped(c.bundle_bytes));
  return out + targets_table(targets_of(result), "with a document of less than 20 MB") +
         fmt::format("Control: OPA, {}.\n", result.opa);
}

json::object latency_json(const LatencyResult& result, const CorpusLabels& labels) {
  json::array changes;
  for (const LatencyChange& change : result.changes) changes.push_back(change_json(change));
  json::object out{{"suite", "latency"},
                   {"model_bytes", result.model_bytes},
                   {"model_files", result.model_files},
                   {"document_bytes", result.document_bytes},
                   {"versions_published", result.versions},
                   {"changes", std::move(changes)},
                   {"targets", targets_json(targets_of(result))}};
  add_circumstances(out, labels, result.opa);
  return out;
}

}  // namespace notp::bench
