#include "tools/bench/footprint_suite.hpp"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/decision_probe.hpp"
#include "tools/bench/notp_arm.hpp"
#include "tools/bench/opa_arm.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kActiveMs = 300'000;
constexpr uint64_t kIdleTargetBytes = 16'000'000, kPeakTargetBytes = 64'000'000;
constexpr double kEmptyRatio = 1.3, kLoadedRatio = 1;  // of the agent with its workers to OPA
constexpr uint64_t kReferenceBytes = 20'000'000;
// The window begins once all programs have been idle for this time, or after this many checks.
constexpr auto kSettle = std::chrono::milliseconds(500);
constexpr int kSettleLooksMax = 10;
constexpr auto kRecord = ProbeModel::Change::kRecord;

class FootprintSuite {
 public:
  explicit FootprintSuite(const FootprintOptions& options) : options_(options) {}
  Result<FootprintResult> run();

 private:
  Result<void> start(const std::filesystem::path& folder);
  Result<std::vector<uint64_t>> read_waits() const;
  Result<void> measure_idle();
  Result<void> publish();
  Result<void> await_all();
  Result<void> measure_models();
  Result<void> check_folder() const;
  Result<void> read_memory(ProcessMemory Footprint::* into);
  pid_t pid_of(size_t program) const { return pids_.at(program); }

  const FootprintOptions& options_;
  FootprintResult result_;
  CountingProxy proxy_;  // outlives the arms
  std::unique_ptr<ProbeModel> model_;
  std::unique_ptr<NotpArm> notp_;
  std::unique_ptr<Publisher> publisher_;
  std::optional<AgentArm> agent_;  // with a folder as its PDP
  std::unique_ptr<OpaArm> opa_;
  std::vector<pid_t> pids_;  // of result_.programs
  uint64_t version_ = 0;
};

Result<void> FootprintSuite::start(const std::filesystem::path& folder) {
  NOTP_ASSIGN(model_, ProbeModel::make(folder / "model", options_.model));
  NOTP_ASSIGN(notp_,
              NotpArm::start(proxy_, {.programs = options_.programs, .folder = folder / "notp"}));
  NOTP_ASSIGN(agent_, notp_->make_agent("folder", notp_->registry_port(), AgentPdp::kFolder));
  for (AgentArm* agent : {&*agent_, &notp_->push_agent()}) NOTP_TRY(notp_->open_session(*agent));
  NOTP_TRY(make_folders(folder / "opa"));
  NOTP_ASSIGN(opa_, OpaArm::start(proxy_, options_.opa, folder / "opa"));
  pids_ = {agent_->pid(), notp_->push_agent().pid(), opa_->pid()};
  for (const char* name : {"agent, folder for a PDP", "agent, embedded PDP", "OPA"})
    result_.programs.push_back({.name = name});
  return {};
}

Result<void> FootprintSuite::read_memory(ProcessMemory Footprint::* into) {
  for (size_t i = 0; i < pids_.size(); ++i) {
    NOTP_ASSIGN(result_.programs[i].*into, memory_of(pid_of(i)));
  }
  return {};
}

Result<std::vector<uint64_t>> FootprintSuite::read_waits() const {
  std::vector<uint64_t> all;
  for (const pid_t pid : pids_) {
    NOTP_ASSIGN(const uint64_t waits, waits_of(pid));
    all.push_back(waits);
  }
  return all;
}

// Sleeps through the window, which is what is measured. The window begins once the programs have
// finished the work of starting and of answering whether they have started.
Result<void> FootprintSuite::measure_idle() {
  NOTP_ASSIGN(std::vector<uint64_t> before, read_waits());
  for (int looks = 0; looks < kSettleLooksMax; ++looks) {
    std::this_thread::sleep_for(kSettle);
    NOTP_ASSIGN(std::vector<uint64_t> now, read_waits());
    if (now == std::exchange(before, now)) break;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(options_.window_ms));
  NOTP_ASSIGN(const std::vector<uint64_t> after, read_waits());
  for (size_t i = 0; i < pids_.size(); ++i)
    result_.programs[i].waits = after[i] - std::min(after[i], before[i]);
  return read_memory(&Footprint::empty);
}

Result<void> FootprintSuite::publish() {
  if (!publisher_) {
    NOTP_ASSIGN(publisher_, notp_->open_publisher());
  }
  NOTP_ASSIGN(const Publisher::Prepared prepared,
              publisher_->prepare(model_->content(), model_->roots()));
  NOTP_ASSIGN(version_, publisher_->publish(prepared));
  result_.delta_bytes = prepared.artifact->size();
  NOTP_ASSIGN(model::Content bundle, OpaArm::pack(model_->folder()));
  opa_->serve(std::move(bundle));
  return {};
}

Result<void> FootprintSuite::await_all() {
  NOTP_TRY(agent_->await_active(version_));
  NOTP_TRY(notp_->push_agent().await_active(version_));
  return opa_->await_waiting();
}

Result<void> FootprintSuite::measure_models() {
  NOTP_TRY(publish());
  NOTP_TRY(await_all());
  for (const pid_t pid : pids_) NOTP_TRY(reset_peak(pid));
  NOTP_TRY(read_memory(&Footprint::loaded));
  NOTP_TRY(model_->set(kRecord, 1));
  NOTP_TRY(publish());
  NOTP_TRY(await_all());
  NOTP_TRY(read_memory(&Footprint::changed));
  // Checks for the change after the measurement: answering costs memory.
  for (const uint16_t port : {notp_->push_agent().port(), opa_->port()}) {
    NOTP_ASSIGN(const auto probe, DecisionProbe::connect(port, ProbeModel::path_of(kRecord)));
    NOTP_TRY(probe->await(1, kActiveMs));
  }
  NOTP_TRY(check_folder());
  for (size_t agent = 0; agent < 2; ++agent) result_.programs[agent].version = version_;
  return {};
}

Result<void> FootprintSuite::check_folder() const {
  const std::string& path = ProbeModel::document_path();
  NOTP_ASSIGN(const Bytes written, read_file(agent_->model_link() / path, limits::kModelBytesMax));
  NOTP_ASSIGN(const Bytes published, read_file(model_->folder() / path, limits::kModelBytesMax));
  if (written == published) return {};
  return fail(ErrorCode::kInternal, "the agent's folder does not hold the change");
}

Result<FootprintResult> FootprintSuite::run() {
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make());
  NOTP_TRY(start(scratch->path()));
  result_.model_bytes = model_->content().tree->total_bytes();
  result_.model_files = model_->content().tree->files().size();
  result_.document_bytes = model_->document_bytes();
  result_.window_ms = options_.window_ms;
  result_.opa = opa_version(options_.opa);
  NOTP_TRY(measure_idle());
  if (options_.progress) options_.progress("idle: measured");
  NOTP_TRY(measure_models());
  publisher_.reset();
  NOTP_TRY(agent_->stop());
  NOTP_TRY(notp_->stop());
  NOTP_TRY(opa_->stop());
  return std::move(result_);
}

double megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

json::object memory_json(const ProcessMemory& memory) {
  return {{"resident_bytes", memory.resident_bytes},
          {"anonymous_bytes", memory.anonymous_bytes},
          {"resident_peak_bytes", memory.resident_peak_bytes}};
}

std::vector<Target> targets_of(const FootprintResult& result) {
  const Footprint& agent = result.programs.front();
  const Footprint& embedded = result.programs[1];
  const Footprint& opa = result.programs.back();
  const double opa_empty = megabytes(opa.empty.resident_bytes),
               opa_loaded = megabytes(opa.loaded.resident_bytes);
  std::vector<Target> out{
      {"MB, agent without workers, no model", megabytes(agent.empty.resident_bytes),
       megabytes(kIdleTargetBytes), "OPA, empty bundle", opa_empty},
      {"MB, agent with its workers, no model", megabytes(embedded.empty.resident_bytes),
       kEmptyRatio * opa_empty, "OPA, empty bundle", opa_empty},
      {fmt::format("wake-ups in {:.0f} s between heartbeats",
                   static_cast<double>(result.window_ms) / 1e3),
       static_cast<double>(embedded.waits), 0, "OPA", static_cast<double>(opa.waits)}};
  if (result.document_bytes < kReferenceBytes) return out;
  out.push_back({"MB, agent with its workers, 20 MB document",
                 megabytes(embedded.loaded.resident_bytes), kLoadedRatio * opa_loaded, "OPA",
                 opa_loaded});
  out.push_back({"MB more at most, a record of it changes", megabytes(embedded.change_bytes()),
                 megabytes(kPeakTargetBytes), "OPA", megabytes(opa.change_bytes())});
  return out;
}

}  // namespace

Result<FootprintResult> run_footprint(const FootprintOptions& options) {
  return FootprintSuite(options).run();
}

std::string footprint_table(const FootprintResult& result) {
  std::string out = fmt::format(
      "Memory (Pss, of a program and all it has started), MB, and wake-ups in {:.1f} s without a "
      "model. Model: {} files, {} bytes; "
      "its large document: {}.\nempty: connected, no model; heap: the part of it that no file "
      "backs. loaded: with the first release. more: what is resident at most while one "
      "record of the document\nchanges (delta: {} bytes), less what was before; peak: loaded and "
      "more. Agents with a folder hold no model; with the "
      "embedded PDP they hold it as OPA does.\n\n",
      static_cast<double>(result.window_ms) / 1e3, grouped(result.model_files),
      grouped(result.model_bytes), grouped(result.document_bytes), grouped(result.delta_bytes));
  out += fmt::format("{:<26}{:>9}{:>8}{:>10}{:>10}{:>10}{:>10}{:>12}{:>11}{:>11}\n", "program",
                     "empty", "heap", "loaded", "peak", "more", "wake-ups", "empty/OPA", "peak/OPA",
                     "more/OPA");
  const Footprint& opa = result.programs.back();
  for (const Footprint& p : result.programs)
    out += fmt::format(
        "{:<26}{:>9.1f}{:>8.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>10}{:>12}{:>11}{:>11}\n", p.name,
        megabytes(p.empty.resident_bytes), megabytes(p.empty.anonymous_bytes),
        megabytes(p.loaded.resident_bytes), megabytes(p.peak_bytes()), megabytes(p.change_bytes()),
        p.waits, ratio_text(megabytes(p.empty.resident_bytes), megabytes(opa.empty.resident_bytes)),
        ratio_text(megabytes(p.peak_bytes()), megabytes(opa.peak_bytes())),
        ratio_text(megabytes(p.change_bytes()), megabytes(opa.change_bytes())));
  return out + targets_table(targets_of(result), "") +
         fmt::format("Control: OPA, {}.\n", result.opa);
}

json::object footprint_json(const FootprintResult& result, const CorpusLabels& labels) {
  json::array programs;
  for (const Footprint& p : result.programs)
    programs.push_back(json::object{{"name", p.name},
                                    {"empty", memory_json(p.empty)},
                                    {"wake_ups", p.waits},
                                    {"loaded", memory_json(p.loaded)},
                                    {"changed", memory_json(p.changed)},
                                    {"change_bytes", p.change_bytes()},
                                    {"peak_bytes", p.peak_bytes()},
                                    {"version", p.version}});
  json::object out{{"suite", "footprint"},
                   {"model_bytes", result.model_bytes},
                   {"model_files", result.model_files},
                   {"document_bytes", result.document_bytes},
                   {"delta_bytes", result.delta_bytes},
                   {"window_ms", result.window_ms},
                   {"programs", std::move(programs)},
                   {"targets", targets_json(targets_of(result))}};
  add_circumstances(out, labels, result.opa);
  return out;
}

}  // namespace notp::bench
