// Makes the files of a trust domain, each one only where it is missing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/notp/setup/setup_plan.hpp"

namespace notp::cli {

struct SetupFile {
  std::string name;   // below the plan's folder
  bool made = false;  // false: it was there, and stays as it is
};

// A certificate that the site's own authority must issue before the rest can be made.
struct WantedCertificate {
  std::string request;      // file with the PKCS #10 request, below the plan's folder
  std::string certificate;  // file that gets the answer
  std::string identity;     // its one URI; empty: an intermediate CA
  bool is_server = false;   // extended key usage serverAuth; else clientAuth
};

struct SetupOutcome {
  std::vector<SetupFile> files;
  std::vector<WantedCertificate> wanted;  // empty: everything is there
  bool wants_authority = false;           // ca.crt, of the site's authority
  std::string token;                      // for the plan's node; empty: see `token_missing`
  TimeMs token_expires_ms = 0;
  std::string token_missing;  // why there is none
};

// Once all of it was made, a folder that is missing was taken to where it belongs, and is not made
// again. A signing key is made only before the root, which names it: later it would be of no use.
//
// Files are durable one by one, private ones with mode 0600 in folders with mode 0700. Nothing that
// is there is written again; a run that was cut short goes on in the next one. Changes the plan's
// `tokens`. The errors name the file.
Result<SetupOutcome> make_setup_files(SetupPlan& plan, Now now);

}  // namespace notp::cli
