#include "notp-client/pdp/folder_pdp.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <set>

#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "notp-client/pdp/bundle_layout.hpp"
#include "notp-client/pdp/coalescing_job.hpp"
#include "notp-client/pdp/hook.hpp"

namespace notp::pdp {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFoldersKept = 2;

std::unexpected<Error> io_error(std::string_view doing, const fs::path& path,
                                std::string_view why) {
  return fail(ErrorCode::kIo, fmt::format("cannot {} {}: {}", doing, path.string(), why));
}

// Flushes the whole file system of `folder` in one call, instead of one fsync for each file.
Result<void> flush_all(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error("open", folder, std::strerror(errno));
  const int outcome = ::syncfs(fd);
  const int error = errno;
  ::close(fd);
  if (outcome != 0) return io_error("flush", folder, std::strerror(error));
  return {};
}

Result<void> write_plain(const fs::path& file, ByteView content) {
  NOTP_TRY(make_folders(file.parent_path()));
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!out) return io_error("write", file, "is the disk full?");
  return {};
}

// The numbered folders, in order.
std::set<uint64_t> numbered(const fs::path& releases) {
  std::set<uint64_t> numbers;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(releases, ignored)) {
    const std::string name = entry.path().filename().string();
    uint64_t number = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (bad == std::errc() && end == name.data() + name.size()) numbers.insert(number);
  }
  return numbers;
}

}  // namespace

class FolderPdp::State : public std::enable_shared_from_this<State> {
 public:
  State(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool,
        rego::ModelChecker& engine, FolderOptions options)
      : agent_(std::move(agent)),
        engine_(engine),
        options_(std::move(options)),
        releases_(options_.link.string() + ".releases"),
        job_(pool) {}

  void start(PdpReport report) { report_ = std::move(report); }

  void activate(ActiveSetPtr active, model::BlobLoader load) {
    job_.submit([this, active = std::move(active), load = std::move(load)] {
      const Result<void> done = install(active, load);
      if (!done) log::write(log::Level::kWarn, "folder_not_activated", done.error());
      if (done && options_.hook.empty()) return;
      PdpOutcome outcome{active, std::nullopt};
      if (!done) outcome.rejected = done.error();
      boost::asio::post(agent_,
                        [self = shared_from_this(), outcome = std::move(outcome)]() mutable {
                          if (self->report_) self->report_(std::move(outcome));
                        });
    });
  }

  void close() {
    report_ = nullptr;
    job_.close();
  }

 private:
  Result<void> install(const ActiveSetPtr& active, const model::BlobLoader& load) {
    std::error_code none;
    const bool is_link = fs::is_symlink(options_.link, none);
    if (!is_link && fs::exists(options_.link, none))
      return fail(ErrorCode::kConfig,
                  fmt::format("{} is not a symbolic link: move it away, the agent makes the link",
                              options_.link.string()));
    const fs::path before = is_link ? fs::read_symlink(options_.link, none) : fs::path();
    const auto numbers = numbered(releases_);
    const std::string name = fmt::format("{}", numbers.empty() ? 1 : *numbers.rbegin() + 1);
    if (auto written = write_folder(releases_ / name, *active, load); !written) {
      fs::remove_all(releases_ / name, none);
      return written;
    }
    NOTP_TRY(move_link(releases_.filename() / name));
    const Result<void> accepted = run(*active);
    if (!accepted && !before.empty() && may_go_back(*active))
      NOTP_TRY(move_link(before));
    else
      linked_ = active;
    remove_old();
    return accepted;
  }

  // The link never goes back to decisions that are denied now, whatever the hook returns.
  bool may_go_back(const ActiveSet& from) const {
    return linked_ ? !gives_denied(*linked_, from) : from.denied_roots().empty();
  }

  Result<void> write_folder(const fs::path& folder, const ActiveSet& active,
                            const model::BlobLoader& load) {
    NOTP_TRY(make_folders(folder));
    NOTP_ASSIGN(const BundleLayout layout, bundle_layout(active, load, engine_));
    for (const auto& [path, file] : layout) {
      NOTP_ASSIGN(const model::Content content, content_of(path, file, load));
      NOTP_TRY(write_plain(folder / path, *content));
    }
    return flush_all(folder);
  }

  // `target` is relative to the link's folder, so that both can be moved or mounted elsewhere.
  Result<void> move_link(const fs::path& target) {
    const fs::path fresh = options_.link.string() + ".new";
    std::error_code error;
    fs::remove(fresh, error);
    fs::create_symlink(target, fresh, error);
    if (!error) fs::rename(fresh, options_.link, error);
    if (error) return io_error("move", options_.link, error.message());
    return sync_folder(releases_.parent_path().empty() ? "." : releases_.parent_path());
  }

  Result<void> run(const ActiveSet& active) {
    if (options_.hook.empty()) return {};
    return run_hook(options_.hook,
                    {fmt::format("NOTP_FOLDER={}", options_.link.string()),
                     fmt::format("NOTP_REVISION={}", active.revision())},
                    options_.hook_ms);
  }

  void remove_old() {
    std::error_code error;
    const fs::path current = fs::read_symlink(options_.link, error).filename();
    auto numbers = numbered(releases_);
    for (uint64_t number : std::set(numbers)) {
      if (numbers.size() <= kFoldersKept) break;
      const std::string name = fmt::format("{}", number);
      if (name == current) continue;
      fs::remove_all(releases_ / name, error);
      if (error) log::warn("old_folder_stays", {{"folder", name}, {"message", error.message()}});
      numbers.erase(number);
    }
  }

  const boost::asio::any_io_executor agent_;
  rego::ModelChecker& engine_;
  const FolderOptions options_;
  const fs::path releases_;
  PdpReport report_;  // on the agent's executor

  ActiveSetPtr linked_;  // used by the one running job; null: the link is of an earlier process
  CoalescingJob job_;
};

FolderPdp::FolderPdp(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool,
                     rego::ModelChecker& engine, FolderOptions options)
    : state_(std::make_shared<State>(std::move(agent), pool, engine, std::move(options))) {}

FolderPdp::~FolderPdp() { state_->close(); }

void FolderPdp::start(PdpReport report) { state_->start(std::move(report)); }

void FolderPdp::activate(ActiveSetPtr active, model::BlobLoader load) {
  state_->activate(std::move(active), std::move(load));
}

DecisionBasisPtr FolderPdp::basis() const {
  static const auto kNone = std::make_shared<const DecisionBasis>();
  return kNone;
}

boost::asio::awaitable<Decisions> FolderPdp::evaluate(Question) {
  co_return fail(
      ErrorCode::kUnavailable,
      "this agent writes the model into a folder and decides nothing itself: ask the PDP that "
      "reads the folder");
}

}  // namespace notp::pdp
