# Reads a .trx results file: prints the failed tests with their messages and the skipped ones with their reasons, then
# a last line "PASSED FAILED SKIPPED". Each record is one tag and the text behind it.
BEGIN { RS = "<" }

function attribute(name,   rest, at) {
  at = index($0, " " name "=\"")
  if (!at) return ""
  rest = substr($0, at + length(name) + 3)
  return text(substr(rest, 1, index(rest, "\"") - 1))
}

function text(value) {
  gsub(/&lt;/, "<", value)
  gsub(/&gt;/, ">", value)
  gsub(/&quot;/, "\"", value)
  gsub(/&apos;/, "'", value)
  gsub(/&#x[Dd];/, "", value)
  gsub(/&#x[Aa];/, "\n", value)
  gsub(/&amp;/, "\\&", value)
  return value
}

# The tag's text, indented, of which the first lines say what matters.
function content(most,   value, lines, count, i) {
  count = split(text(substr($0, index($0, ">") + 1)), lines, "\n")
  value = lines[1]
  for (i = 2; i <= count && i <= most; i++) value = value "\n    " lines[i]
  sub(/[ \t\r\n]+$/, "", value)
  return value (count > most ? "\n    ..." : "")
}

function report() {
  if (outcome == "Passed") passed++
  else if (outcome == "NotExecuted" || outcome == "Inconclusive") {
    skipped++
    print "Skipped: " test (message != "" ? ": " message : "")
  }
  else if (outcome != "") {
    failed++
    print "Failed: " test "\n    " message (stack != "" ? "\n    " stack : "")
  }
  outcome = ""
}

/^UnitTestResult / {
  report()
  test = attribute("testName")
  outcome = attribute("outcome")
  if (outcome == "") outcome = "Error"
  message = stack = ""
  if ($0 ~ /\/>[ \t\r\n]*$/) report()
}
/^Message>/ && outcome != "" { message = content(25) }
/^StackTrace>/ && outcome != "" { stack = content(15) }
/^StdOut>/ && outcome == "NotExecuted" && message == "" { message = content(5) }
/^\/UnitTestResult>/ { report() }
END { print passed + 0, failed + 0, skipped + 0 }
