// The control "OPA": an unmodified OPA that long-polls a plain bundle server, as its documentation
// describes.
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

// Listeners of OPA besides TCP on loopback.
struct OpaListeners {
  std::filesystem::path socket;                // Unix socket; empty: none
  std::filesystem::path certificate, key, ca;  // TLS with client certificates; empty: none
};

class OpaArm {
 public:
  // Starts the bundle server, on the loop of `proxy`, and `program`, with an empty bundle; waits
  // until OPA has loaded it and polls for the next. `folder` exists and receives the configuration
  // and the log.
  static Result<std::unique_ptr<OpaArm>> start(CountingProxy& proxy,
                                               const std::filesystem::path& program,
                                               const std::filesystem::path& folder,
                                               const OpaListeners& listeners = {});
  ~OpaArm();

  // Packs a model as a bundle: tar.gz of the folder.
  static Result<model::Content> pack(const std::filesystem::path& model);
  // Serves the bundle from now on; pending polls get it at once.
  void serve(model::Content bundle);
  // Waits until OPA has loaded the last bundle and polls for the next. kTimeout, kUnavailable.
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

// Returns a port of loopback that was free a moment ago, for programs that do not report their
// port.
Result<uint16_t> free_port();
// Returns NOTP_OPA. kUsage when it does not name a program.
Result<std::filesystem::path> opa_program();

}  // namespace notp::bench
