# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_netloom_global_optspecs
    string join \n o/output= color= q/quiet v/verbose h/help V/version
end

function __fish_netloom_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_netloom_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_netloom_using_subcommand
    set -l cmd (__fish_netloom_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c netloom -n "__fish_netloom_needs_command" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_needs_command" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_needs_command" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_needs_command" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_needs_command" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_needs_command" -s V -l version -d 'Print version'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "ci" -d 'Build, test and tear down a lab; the exit code is the verdict'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "up" -d 'Build a lab and keep it'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "apply" -d 'Change a running lab to what its file says now, and nothing else'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "down" -d 'Tear a lab down'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "test" -d 'Run the tests of the lab file on the running lab'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "probe" -d 'Try one connection between two nodes and say what became of it'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "explain" -d 'Say which way a packet would take, and which rule on which link decides'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "ping" -d 'Ping from node to node, or from every node to every other'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "ps" -d 'List running labs, or the nodes of one'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "ls" -d 'List running labs, or the nodes of one'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "inspect" -d 'Everything known about a lab, a node or a link end'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "exec" -d 'Run a command in a node'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "console" -d 'Open a router\'s command line, or a shell on a host'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "start" -d 'Power a node on'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "stop" -d 'Power a node off: its processes die, its peers lose carrier'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "restart" -d 'Power a node off and on'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "logs" -d 'Print what a node\'s processes wrote'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "events" -d 'Print what happened to a lab'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "save" -d 'Save running configurations and changed files to a directory'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "link" -d 'Look at links, or change them while they run'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "capture" -d 'Capture packets at a link end, as pcap'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "init" -d 'Write a commented lab file to start from'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "validate" -d 'Check a lab file without touching anything'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "graph" -d 'Draw a lab'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "generate" -d 'Print a lab file of a regular shape: ring, clos, tree, …'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "inventory" -d 'List the nodes for Ansible'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "names" -d 'Print names of nodes for the host: /etc/hosts lines or ssh configuration'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "exporter" -d 'Serve what Open vSwitch counts, for Prometheus'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "doctor" -d 'Say what this machine can do, and what to do about the rest'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "schema" -d 'Print the JSON schema of the lab file, for editors'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "completions" -d 'Print shell completions'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "version" -d 'Print the version and what it was built for'
complete -c netloom -n "__fish_netloom_needs_command" -f -a "help" -d 'Explain a command or a topic'
complete -c netloom -n "__fish_netloom_using_subcommand ci" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l junit -d 'Write the verdict as JUnit XML' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l json -d 'Write the verdict as JSON' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l only -d 'Run only the tests whose names fit the pattern (repeatable; `*` stands for anything)' -r
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l tags -d 'Run only the tests with one of these tags' -r
complete -c netloom -n "__fish_netloom_using_subcommand ci" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l force -d 'Build even if the machine seems too small'
complete -c netloom -n "__fish_netloom_using_subcommand ci" -l keep -d 'Leave the lab running after the verdict (a `ci` killed before leaves nothing)'
complete -c netloom -n "__fish_netloom_using_subcommand ci" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand ci" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand ci" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand up" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand up" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand up" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand up" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand up" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand up" -l force -d 'Build even if the machine seems too small'
complete -c netloom -n "__fish_netloom_using_subcommand up" -l dry-run -d 'Print what would be made and make nothing'
complete -c netloom -n "__fish_netloom_using_subcommand up" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand up" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand up" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand apply" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand apply" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand apply" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand apply" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand apply" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand apply" -l force -d 'Build even if the machine seems too small'
complete -c netloom -n "__fish_netloom_using_subcommand apply" -l dry-run -d 'Print the difference and change nothing'
complete -c netloom -n "__fish_netloom_using_subcommand apply" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand apply" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand apply" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand down" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand down" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand down" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand down" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand down" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand down" -l all -d 'Every lab on this machine'
complete -c netloom -n "__fish_netloom_using_subcommand down" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand down" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand down" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand test" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand test" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand test" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand test" -l junit -d 'Write the verdict as JUnit XML' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand test" -l json -d 'Write the verdict as JSON' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand test" -l only -d 'Run only the tests whose names fit the pattern (repeatable; `*` stands for anything)' -r
complete -c netloom -n "__fish_netloom_using_subcommand test" -l tags -d 'Run only the tests with one of these tags' -r
complete -c netloom -n "__fish_netloom_using_subcommand test" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand test" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand test" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand test" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand test" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand probe" -l within -d 'Wait this long for an answer' -r
complete -c netloom -n "__fish_netloom_using_subcommand probe" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand probe" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand probe" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand probe" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand probe" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand probe" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand probe" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand probe" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand explain" -l from -d 'The node it starts from' -r
complete -c netloom -n "__fish_netloom_using_subcommand explain" -l to -d 'Where it goes: a node or an address' -r
complete -c netloom -n "__fish_netloom_using_subcommand explain" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand explain" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand explain" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand explain" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand explain" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand explain" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand explain" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand explain" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand ping" -s c -l count -d 'Probes per pair' -r
complete -c netloom -n "__fish_netloom_using_subcommand ping" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand ping" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand ping" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand ping" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ping" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ping" -s a -l all -d 'Every node to every other'
complete -c netloom -n "__fish_netloom_using_subcommand ping" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand ping" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand ping" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand ps" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand ps" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand ps" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand ps" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ps" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ps" -s a -l all -d 'Every lab on this machine'
complete -c netloom -n "__fish_netloom_using_subcommand ps" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand ps" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand ps" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand ls" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand ls" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand ls" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand ls" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ls" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand ls" -s a -l all -d 'Every lab on this machine'
complete -c netloom -n "__fish_netloom_using_subcommand ls" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand ls" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand ls" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s e -l env -d 'Set a variable in its environment (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s w -l workdir -d 'Directory it starts in' -r
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand exec" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand exec" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand exec" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s t -l tty -d 'Give it a terminal of its own, which follows this one\'s size'
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand exec" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand console" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand console" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand console" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand console" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand console" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand console" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand console" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand console" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand start" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand start" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand start" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand start" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand start" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand start" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand start" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand start" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand stop" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand stop" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand stop" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand stop" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand stop" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand stop" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand stop" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand stop" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand restart" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand restart" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand restart" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand restart" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand restart" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand restart" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand restart" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand restart" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand logs" -s n -l tail -d 'Only the last lines of each process' -r
complete -c netloom -n "__fish_netloom_using_subcommand logs" -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand logs" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand logs" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand logs" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand logs" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand logs" -s f -l follow -d 'Go on printing as it is written'
complete -c netloom -n "__fish_netloom_using_subcommand logs" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand logs" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand logs" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand events" -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand events" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand events" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand events" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand events" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand events" -s f -l follow -d 'Go on printing as things happen'
complete -c netloom -n "__fish_netloom_using_subcommand events" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand events" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand events" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand save" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand save" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand save" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand save" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand save" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand save" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand save" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand save" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand link; and not __fish_seen_subcommand_from set show" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand link; and not __fish_seen_subcommand_from set show" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand link; and not __fish_seen_subcommand_from set show" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand link; and not __fish_seen_subcommand_from set show" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand link; and not __fish_seen_subcommand_from set show" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand link; and not __fish_seen_subcommand_from set show" -f -a "set" -d 'Impair a link, take an end down or up, while it runs'
complete -c netloom -n "__fish_netloom_using_subcommand link; and not __fish_seen_subcommand_from set show" -f -a "show" -d 'Show state, impairment and counters'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l delay -d 'Delay each frame' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l jitter -d 'Vary the delay' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l loss -d 'Lose a share of the frames' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l rate -d 'Let frames leave no faster' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l duplicate -d 'Send a share of the frames twice' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l corrupt -d 'Flip a bit in a share of the frames' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l reorder -d 'Let a share of the frames overtake' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l limit -d 'Frames the wire holds at most' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l both -d 'The other direction too'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l clear -d 'Take every impairment away, the file\'s too'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l down -d 'Take this end down; both ends lose carrier'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -l up -d 'Take it up again, with its addresses and routes'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand link; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand capture" -s w -l write -d 'Where to; `-` is standard output' -r
complete -c netloom -n "__fish_netloom_using_subcommand capture" -s c -l count -d 'Stop after so many packets' -r
complete -c netloom -n "__fish_netloom_using_subcommand capture" -l for -d 'Stop after this long' -r
complete -c netloom -n "__fish_netloom_using_subcommand capture" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand capture" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand capture" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand capture" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand capture" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand capture" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand capture" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand capture" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand init" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand init" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand init" -l force -d 'Overwrite it if it is there'
complete -c netloom -n "__fish_netloom_using_subcommand init" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand init" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand init" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand validate" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand validate" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand validate" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand validate" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand validate" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand validate" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand validate" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand validate" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand graph" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand graph" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand graph" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand graph" -l format -d 'Which language' -r -f -a "mermaid\t'Mermaid, as GitHub and GitLab draw it'
dot\t'Graphviz'
html\t'One self-contained page'"
complete -c netloom -n "__fish_netloom_using_subcommand graph" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand graph" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand graph" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand graph" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand graph" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netloom -n "__fish_netloom_using_subcommand generate" -l hosts -d 'Hosts on each leaf' -r
complete -c netloom -n "__fish_netloom_using_subcommand generate" -l kind -d 'Kind of the nodes: linux or frr' -r
complete -c netloom -n "__fish_netloom_using_subcommand generate" -l routing -d 'Routing: bgp, ospf or none' -r
complete -c netloom -n "__fish_netloom_using_subcommand generate" -l seed -d 'Seed of `random`' -r
complete -c netloom -n "__fish_netloom_using_subcommand generate" -l name -d 'Name of the lab' -r
complete -c netloom -n "__fish_netloom_using_subcommand generate" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand generate" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand generate" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand generate" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand generate" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -l host -d 'JSON of one host\'s variables' -r
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -l list -d 'JSON of all groups and hosts (Ansible\'s dynamic inventory)'
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand inventory" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand names" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand names" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand names" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand names" -l write -d 'Put the lab\'s block into this file' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand names" -l remove -d 'Take the lab\'s block out of this file' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand names" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand names" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand names" -l ssh -d 'ssh configuration in place of hosts lines'
complete -c netloom -n "__fish_netloom_using_subcommand names" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand names" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand names" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l listen -d 'Address and port to serve on; port 0 takes a free one' -r
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l db -d 'The database of Open vSwitch' -r
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l run-dir -d 'Run directory of ovs-vswitchd, with its sockets [default: that of the database\'s socket]' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l control -d 'Control socket of ovs-vswitchd [default: the one that the run directory names]' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l owners -d 'File with the names behind the cookies of flows: a hexadecimal number, a blank and a name on each line' -r -F
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l max-owners -d 'Objects with a label of their own; the flows of the others are summed up as `other`' -r
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l max-ports -d 'Ports with a label of their own' -r
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l max-groups -d 'Groups with a label of their own' -r
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand exporter" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -s f -l file -d 'Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input' -r
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -l name -d 'Instance of the lab [default: the name in the file; without a file, the only lab that runs]' -r
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -l set -d 'Set a variable of the lab file (repeatable)' -r
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand schema" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand schema" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand schema" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand schema" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand schema" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand completions" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand completions" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand completions" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand completions" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand completions" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand version" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand version" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand version" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand version" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand version" -s h -l help -d 'Print help'
complete -c netloom -n "__fish_netloom_using_subcommand help" -s o -l output -d 'How results are printed (`wide`: more columns)' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''"
complete -c netloom -n "__fish_netloom_using_subcommand help" -l color -d 'When to use colours (`auto`: on a terminal, unless NO_COLOR is set)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c netloom -n "__fish_netloom_using_subcommand help" -s q -l quiet -d 'Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)'
complete -c netloom -n "__fish_netloom_using_subcommand help" -s v -l verbose -d 'Print more: every measured value, every step'
complete -c netloom -n "__fish_netloom_using_subcommand help" -s h -l help -d 'Print help'
