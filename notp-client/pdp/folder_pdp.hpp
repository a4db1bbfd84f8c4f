// Writes each active set into a new folder and points a symbolic link at it, for any PDP that
// watches files.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>

#include "notp-client/pdp/pdp.hpp"

namespace notp::pdp {

struct FolderOptions {
  // The link. The folders are beside it, in "<link>.releases/<number>"; the newest two are kept.
  std::filesystem::path link;
  // Program and arguments run after each change of the link, without a shell, with NOTP_FOLDER and
  // NOTP_REVISION in the environment. Exit code 0: the PDP decides with the set. Any other:
  // refused, with standard error as the reason, and the link goes back.
  std::vector<std::string> hook;
  int64_t hook_ms = 60'000;
};

// Without a hook the PDP's outcome is unknown: nothing is reported, and the release stays STORED.
// The link never goes back to decisions that are denied now, whatever the hook returns. A folder
// that cannot be written is reported as rejected, with kIo.
//
// A crash leaves the link at the old or the new folder, each complete and flushed.
class FolderPdp final : public Pdp {
 public:
  // `pool` writes, runs the hook and calls `load`; it and `engine` must outlive this object.
  FolderPdp(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool,
            rego::ModelChecker& engine, FolderOptions options);
  // Waits for a write in progress, including the hook. No report is made afterwards.
  ~FolderPdp() override;

  std::string_view kind() const override { return "folder"; }
  void start(PdpReport report) override;
  void activate(ActiveSetPtr wanted, model::BlobLoader load) override;
  // Always empty: this PDP answers nothing itself.
  DecisionBasisPtr basis() const override;
  // Always kUnavailable: only the PDP that reads the folder can answer.
  boost::asio::awaitable<Decisions> evaluate(Question question) override;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp::pdp
