// The control "OPA": an unmodified OPA that long-polls a plain bundle server, as its documentation
// has it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/http/server.hpp"
#include "protocol/model/tree.hpp"
#include "tools/bench/child.hpp"
#include "tools/bench/counting_proxy.hpp"

namespace notp::bench {

// Where OPA listens besides TCP on loopback.
struct OpaListeners {
  std::filesystem::path socket;                // Unix socket; empty: none
  std::filesystem::path certificate, key, ca;  // TLS with client certificates; empty: none
};

class OpaArm {
 public:
  // Starts the bundle server, on the loop of `proxy`, and `program`, with an empty bundle;
  // waits until OPA holds it and waits for the next. `folder` is there and takes the configuration
  // and the log.
  static Result<std::unique_ptr<OpaArm>> start(CountingProxy& proxy,
                                               const std::filesystem::path& program,
                                               const std::filesystem::path& folder,
                                               const OpaListeners& listeners = {});
  ~OpaArm();

  // A model as the bundle that a plain server has: tar.gz of the folder.
  static Result<Content> pack(const std::filesystem::path& model);
  // Serves it from now on; whoever waits for a change gets it at once.
  void serve(Content bundle);
  // Waits until OPA holds the last bundle and waits for the next one. kTimeout, kUnavailable.
  Result<void> await_waiting();

  uint16_t port() const { return port_; }
  uint16_t tls_port() const { return tls_port_; }  // 0: none
  pid_t pid() const { return process_->pid(); }
  Result<void> stop();

 private:
  struct Bundles;
  OpaArm() = default;
  Result<std::vector<std::string>> words(const std::string& program, const OpaListeners& listeners);

  std::shared_ptr<Bundles> bundles_;
  std::unique_ptr<http::Server> server_;
  std::filesystem::path log_;
  std::optional<Child> process_;
  uint16_t port_ = 0, tls_port_ = 0;
};

// A port of loopback that was free a moment ago, for programs that cannot say which one they got.
Result<uint16_t> free_port();
// NOTP_OPA. kUsage when it names no program.
Result<std::filesystem::path> opa_program();

}  // namespace notp::bench
