// Writes each active set into a new folder and moves a symbolic link to it, for any PDP that
// watches files.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>

#include "notp-client/pdp/pdp.hpp"

namespace notp {

struct FolderOptions {
  // The link. The folders lie beside it, in "<link>.releases/<number>"; the newest two stay.
  std::filesystem::path link;
  // Program and arguments run after each move, without a shell, with NOTP_FOLDER and NOTP_REVISION
  // in the environment. Exit code 0: the PDP decides with it. Anything else: refused, for the
  // reason it wrote to standard error, and the link goes back.
  std::vector<std::string> hook;
  int64_t hook_ms = 60'000;
};

// Without a hook nobody confirms what the PDP made of the folder: nothing is reported then, and the
// release stays STORED. The link never goes back to decisions that are denied now, whatever the
// hook says. A folder that cannot be written is reported as rejected, with kIo.
//
// A crash leaves the link at the old or the new folder, each complete and flushed.
class FolderPdp final : public Pdp {
 public:
  // `pool` writes, runs the hook and calls `load`; it and `engine` must outlive this object.
  FolderPdp(boost::asio::any_io_executor agent, boost::asio::thread_pool& pool,
            rego::ModelChecker& engine, FolderOptions options);
  // Waits for what is being written, the hook included. No report is made after it.
  ~FolderPdp() override;

  std::string_view kind() const override { return "folder"; }
  void start(PdpReport report) override;
  void activate(ActiveSetPtr wanted, BlobLoader load) override;
  // Always empty: nothing is answered here.
  DecisionBasisPtr basis() const override;
  // Always kUnavailable: only the PDP that reads the folder can answer.
  boost::asio::awaitable<Decisions> evaluate(Question question) override;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp
