#include "tools/bench/cold_suite.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "tools/bench/git_arm.hpp"
#include "tools/bench/notp_arm.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/targets.hpp"
#include "tools/notp/publish/model_folder.hpp"

namespace notp::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr TimeMs kCloseMs = 30'000;
constexpr size_t kWriteBytes = 1 << 20;
constexpr double kTimeTarget = 0.5, kBytesTarget = 0.9;
constexpr uint64_t kReferenceBytes = 100'000'000;

class ColdSuite {
 public:
  explicit ColdSuite(const ColdOptions& options) : options_(options) {}
  Result<ColdResult> run();

 private:
  Result<void> start(const fs::path& folder, ColdResult& result);
  Result<void> measure_notp(ColdResult& result);
  Result<void> measure_git(GitArm& git, ColdGit& out) const;
  Result<void> measure_disk(ColdResult& result) const;

  const ColdOptions& options_;
  CountingProxy proxy_;  // outlives the arms
  fs::path folder_;
  std::unique_ptr<NotpArm> notp_;
  std::unique_ptr<GitArm> git_, git_bitmap_;
};

Result<void> sync(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  const bool synced = file >= 0 && ::fdatasync(file) == 0;
  if (file >= 0) ::close(file);
  if (synced) return {};
  return fail(ErrorCode::kIo, fmt::format("cannot synchronise {}", path.string()));
}

// Synchronises all files of git, which itself synchronises only some.
Result<void> sync_all(const fs::path& folder) {
  std::error_code failed;
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed)) {
    if (entry.is_regular_file(failed)) NOTP_TRY(sync(entry.path(), O_RDONLY));
    if (entry.is_directory(failed)) NOTP_TRY(sync(entry.path(), O_RDONLY | O_DIRECTORY));
  }
  if (failed) return fail(ErrorCode::kIo, "a clone cannot be read: " + failed.message());
  return sync(folder, O_RDONLY | O_DIRECTORY);
}

Result<void> ColdSuite::start(const fs::path& folder, ColdResult& result) {
  folder_ = folder;
  NOTP_ASSIGN(const auto history, tagged_history(options_.repository));
  const TaggedCommit& first = history.front();
  NOTP_ASSIGN(const Checkout checkout, Checkout::make(options_.repository, folder / "model"));
  NOTP_TRY(checkout.go_to(first));
  NOTP_ASSIGN(const cli::FolderContent loaded, cli::read_model_folder(checkout.folder().string()));
  result.model_bytes = loaded.content.tree->total_bytes();
  result.model_files = loaded.content.tree->files().size();
  NOTP_ASSIGN(notp_,
              NotpArm::start(proxy_, {.programs = options_.programs, .folder = folder / "notp"}));
  NOTP_ASSIGN(const PublishedRelease release, notp_->publish(checkout.folder(), first.tag));
  result.version = release.version;
  NOTP_ASSIGN(git_, GitArm::start(proxy_, options_.repository, folder / "git", false));
  NOTP_ASSIGN(git_bitmap_, GitArm::start(proxy_, options_.repository, folder / "bitmap", true));
  NOTP_TRY(git_->serve(first));
  return git_bitmap_->serve(first);
}

Result<void> ColdSuite::measure_notp(ColdResult& result) {
  AgentArm& agent = notp_->pull_agent();
  NOTP_TRY(agent.forget());
  notp_->pull_route().take();
  const auto start = steady_clock::now();
  NOTP_TRY(agent.start());
  NOTP_TRY(agent.await_status("stored", [&](const json::value& status) {
    return ledger_number(status, "stored_version") == result.version;
  }));
  const auto stored = steady_clock::now();
  NOTP_TRY(agent.await_active(result.version));
  result.active.add(ms_between(start, steady_clock::now()));
  result.stored.add(ms_between(start, stored));
  NOTP_TRY(agent.stop());
  NOTP_TRY(notp_->pull_route().wait_closed(kCloseMs));
  const Traffic traffic = notp_->pull_route().take();
  result.notp_bytes = traffic.bytes();
  result.notp_up_bytes = traffic.up_bytes();
  result.round_trips = traffic.round_trips();
  return {};
}

Result<void> ColdSuite::measure_git(GitArm& git, ColdGit& out) const {
  const fs::path clone = folder_ / "clone.git";
  const auto start = steady_clock::now();
  NOTP_ASSIGN(const Traffic traffic, git.clone(clone));
  const auto cloned = steady_clock::now();
  NOTP_TRY(sync_all(clone));
  out.durable.add(ms_between(start, steady_clock::now()));
  out.cloned.add(ms_between(start, cloned));
  out.bytes = traffic.bytes();
  out.round_trips = traffic.round_trips();
  std::error_code failed;
  fs::remove_all(clone, failed);
  return {};
}

Result<void> ColdSuite::measure_disk(ColdResult& result) const {
  const fs::path path = folder_ / "disk";
  const std::string block(kWriteBytes, 'x');
  const auto start = steady_clock::now();
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool written = file >= 0;
  for (uint64_t left = result.model_bytes; written && left > 0;) {
    const size_t bytes = std::min<uint64_t>(left, block.size());
    written = ::write(file, block.data(), bytes) == static_cast<ssize_t>(bytes);
    left -= bytes;
  }
  written = written && ::fdatasync(file) == 0;
  result.disk.add(ms_between(start, steady_clock::now()));
  if (file >= 0) ::close(file);
  std::error_code failed;
  fs::remove(path, failed);
  if (!written) return fail(ErrorCode::kIo, fmt::format("cannot write {}", path.string()));
  return {};
}

Result<ColdResult> ColdSuite::run() {
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make());
  ColdResult result;
  NOTP_TRY(start(scratch->path(), result));
  for (size_t i = 0; i < options_.runs; ++i) {
    NOTP_TRY(measure_notp(result));
    NOTP_TRY(measure_git(*git_, result.git));
    NOTP_TRY(measure_git(*git_bitmap_, result.git_bitmap));
    NOTP_TRY(measure_disk(result));
    if (options_.progress)
      options_.progress(fmt::format("run {} of {}: {} bytes, git {}", i + 1, options_.runs,
                                    result.notp_bytes, result.best_git_bytes()));
  }
  NOTP_TRY(notp_->stop());
  return result;
}

json::object git_json(const ColdGit& git) {
  return {{"bytes", git.bytes},
          {"round_trips", git.round_trips},
          {"cloned", git.cloned.to_json()},
          {"durable", git.durable.to_json()}};
}

std::string row(std::string_view arm, std::string_view what, uint64_t bytes, double round_trips,
                const Samples& samples) {
  return fmt::format("{:<12}{:<34}{:>14}{:>6.1f}{:>10.0f}{:>10.0f}{:>10.0f}\n", arm, what,
                     bytes == 0 ? "-" : grouped(bytes), round_trips, samples.p50(),
                     samples.percentile(0), samples.percentile(100));
}

std::vector<Target> targets_of(const ColdResult& result) {
  if (result.model_bytes < kReferenceBytes) return {};
  const double git_ms = result.fastest_git().durable.p50();
  const auto git_bytes = static_cast<double>(result.best_git_bytes());
  return {{"ms until stored durably, p50", result.stored.p50(), kTimeTarget * git_ms,
           "the faster durable clone", git_ms},
          {"bytes", static_cast<double>(result.notp_bytes), kBytesTarget * git_bytes,
           "the smaller clone", git_bytes}};
}

}  // namespace

Result<ColdResult> run_cold(const ColdOptions& options) { return ColdSuite(options).run(); }

std::string cold_table(const ColdResult& result) {
  std::string out = fmt::format(
      "A node that has nothing: {} files, {} bytes. Bytes of whole TCP streams, both ways, through "
      "one counting proxy; ms from the start of the program, {} runs in turn.\n\n",
      grouped(result.model_files), grouped(result.model_bytes), result.stored.count());
  out += fmt::format("{:<12}{:<34}{:>14}{:>6}{:>10}{:>10}{:>10}\n", "arm", "until", "bytes", "RT",
                     "p50 ms", "min", "max");
  out += row("notp", "stored durably", result.notp_bytes, result.round_trips, result.stored);
  out += row("notp", "the embedded PDP decides with it", 0, result.round_trips, result.active);
  for (const auto& [name, git] :
       {std::pair{"git", &result.git}, std::pair{"git bitmap", &result.git_bitmap}}) {
    out += row(name, "clone --bare has ended", git->bytes, git->round_trips, git->cloned);
    out += row(name, "and fdatasync of all it wrote", 0, git->round_trips, git->durable);
  }
  out += row("disk", "as many bytes, one fdatasync", 0, 0, result.disk);
  return out +
         fmt::format(
             "\nstored / fastest durable clone: {} (target <= {}); bytes / best git: {} (target <= "
             "{})\n",
             ratio_text(result.stored.p50(), result.fastest_git().durable.p50()), kTimeTarget,
             ratio_text(static_cast<double>(result.notp_bytes),
                        static_cast<double>(result.best_git_bytes())),
             kBytesTarget) +
         targets_table(targets_of(result), "with a model of less than 100 MB");
}

json::object cold_json(const ColdResult& result, const CorpusLabels& labels) {
  json::object out{{"suite", "cold"},
                   {"model_bytes", result.model_bytes},
                   {"model_files", result.model_files},
                   {"version", result.version},
                   {"notp_bytes", result.notp_bytes},
                   {"notp_up_bytes", result.notp_up_bytes},
                   {"round_trips", result.round_trips},
                   {"stored", result.stored.to_json()},
                   {"active", result.active.to_json()},
                   {"git", git_json(result.git)},
                   {"git_bitmap", git_json(result.git_bitmap)},
                   {"disk", result.disk.to_json()},
                   {"time_ratio", ratio(result.stored.p50(), result.fastest_git().durable.p50())},
                   {"bytes_ratio", ratio(static_cast<double>(result.notp_bytes),
                                         static_cast<double>(result.best_git_bytes()))},
                   {"targets", targets_json(targets_of(result))}};
  add_circumstances(out, labels);
  return out;
}

}  // namespace notp::bench
