// Keeps a running node's certificates current: reloads changed files, and requests the next
// certificate in time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/asio/file_watch.hpp"
#include "notp-client/identity/certificate_renewal.hpp"
#include "protocol/transport/tls_context.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::identity {

// The rotator's calls into the agent, on its executor's thread.
struct CertificateRotatorHooks {
  // Sends the request to the registry. False: there is no session.
  std::function<bool(const wire::Request&)> ask;
  // Whether the registry of the open session would be trusted under this context. Succeeds when
  // there is no session.
  std::function<Result<void>(const transport::TlsContext&)> trusts_registry;
  // Rechecks the open session after the files have changed.
  std::function<void()> recheck;
};

// Runs on one executor; reads and writes small files on it.
class CertificateRotator {
 public:
  // With `renew`, TlsFiles names one file for certificate and key. `tls` and `random` outlive it.
  CertificateRotator(boost::asio::any_io_executor executor, transport::TlsSource& tls, bool renew,
                     Random& random, CertificateRotatorHooks hooks);

  // Checks the files and the certificate's life now, and again whenever the files change or the
  // certificate is due.
  void start();
  void stop();
  // Checks now: on a signal, or when a clock was set.
  void look();
  // Handles the answer to a renewal request; ignores other answers.
  void on_answer(wire::Response response);

 private:
  void look_later();
  void take_files();
  void ask();
  Result<void> take(wire::Response&& response);

  transport::TlsSource& tls_;
  const bool renew_;
  const CertificateRotatorHooks hooks_;
  boost::asio::steady_timer timer_;
  FileWatch files_;
  bool stopped_ = true;
  CertificateRenewal renewal_;
  std::shared_ptr<const transport::TlsContext> seen_;
  std::string logged_;   // the last reload's error: logged once while it lasts
  std::string key_pem_;  // of the pending request
  uint64_t request_ = 0;
};

}  // namespace notp::identity
