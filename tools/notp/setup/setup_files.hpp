// Creates the files of a trust domain that are missing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/notp/setup/setup_plan.hpp"

namespace notp::cli {

struct SetupFile {
  std::string name;   // below the plan's folder
  bool made = false;  // false: it existed, and is unchanged
};

// A certificate that the site's own authority must issue before setup can continue.
struct WantedCertificate {
  std::string request;      // file with the PKCS #10 request, below the plan's folder
  std::string certificate;  // file for the issued certificate
  std::string identity;     // its one URI; empty: an intermediate CA
  bool is_server = false;   // extended key usage serverAuth; else clientAuth
};

struct SetupOutcome {
  std::vector<SetupFile> files;
  std::vector<WantedCertificate> wanted;  // empty: complete
  bool wants_authority = false;           // ca.crt, from the site's authority
  std::string token;                      // for the plan's node; empty: see `token_missing`
  TimeMs token_expires_ms = 0;
  std::string token_missing;  // why there is none
  // Of a service, by who starts it: whether the link to its configuration was made by this run, and
  // whether systemd has started it. Absent: it is not complete, or no service.
  std::optional<bool> configuration_made;
  bool is_running = false;
};

// After a run has completed, a missing folder is taken to have been moved to its machine and is not
// created again. A signing key is created only before the root, which names it: a later one would
// be useless.
//
// Files are made durable one by one; private ones have mode 0600 in folders with mode 0700. Those
// of a service belong to its user. An existing file is never rewritten; an interrupted run
// continues in the next one. Changes the plan's `tokens`. The errors name the file.
Result<SetupOutcome> make_setup_files(SetupPlan& plan, Now now);

}  // namespace notp::cli
