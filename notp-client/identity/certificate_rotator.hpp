// Keeps a running node's certificates current: takes files that changed, and asks for the next
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

namespace notp {

// What the keeper needs of the agent; called on its executor's thread.
struct CertificateRotatorHooks {
  // Asks the registry. False: there is no session.
  std::function<bool(const wire::Request&)> ask;
  // Would the registry of the open session be trusted under this context? Without error when there
  // is no session.
  std::function<Result<void>(const TlsContext&)> trusts_registry;
  // Looks at the open session again, as the files have changed.
  std::function<void()> recheck;
};

// On one executor; reads and writes small files on it.
class CertificateRotator {
 public:
  // With `renew`, TlsFiles names one file for certificate and key. `tls` and `random` outlive it.
  CertificateRotator(boost::asio::any_io_executor executor, TlsSource& tls, bool renew,
                     Random& random, CertificateRotatorHooks hooks);

  // Looks at the files and at the certificate's life, from now on whenever the files change or the
  // certificate is due.
  void start();
  void stop();
  // Looks now: on a signal, or when a clock was set.
  void look();
  // The answer to a question; answers to other questions are not touched.
  void on_answer(wire::Response response);

 private:
  void look_later();
  void take_files();
  void ask();
  Result<void> take(wire::Response&& response);

  TlsSource& tls_;
  const bool renew_;
  const CertificateRotatorHooks hooks_;
  boost::asio::steady_timer timer_;
  FileWatch files_;
  bool stopped_ = true;
  CertificateRenewal renewal_;
  std::shared_ptr<const TlsContext> seen_;
  std::string logged_;   // the last reload's error: said once while it lasts
  std::string key_pem_;  // of the question that is out
  uint64_t request_ = 0;
};

}  // namespace notp
