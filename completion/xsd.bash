# Completion for bash of xsd and of xenstored, which is xsd-xenstored in packages.
# It needs nothing of bash-completion, and can be read by itself: . completion/xsd.bash

# The words before the one to be completed, and that one: "words", "cur" and "prev".
# bash cuts at = and :, so that --socket=./s are three words; this makes two of them.
_xsd_split() {
    local index
    words=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        [[ ${COMP_WORDS[index]} == "=" ]] || words+=("${COMP_WORDS[index]}")
    done
    cur=${COMP_WORDS[COMP_CWORD]}
    if [[ $cur == "=" ]]; then cur=; fi
    prev=
    if ((${#words[@]})); then prev=${words[-1]}; fi
}

_xsd_offer() {
    mapfile -t COMPREPLY < <(compgen "$@" -- "$cur")
}

_xsd_offer_files() {
    compopt -o filenames 2>/dev/null
    _xsd_offer -f
}

# Names that want more behind them: no space then.
_xsd_offer_begun() {
    compopt -o nospace 2>/dev/null
    _xsd_offer "$@"
}

# The children of a node, or nothing if the daemon has not answered after a second, or
# as many as XSD_COMPLETION_SECONDS says.
_xsd_children() {
    timeout "${XSD_COMPLETION_SECONDS:-1}" "${_xsd_ask[@]}" list -p "$1" 2>/dev/null
}

# Paths of the store that begin as the word does. A single one gets a slash if there is
# something below it, as a directory does.
_xsd_offer_paths() {
    local parent=${cur%/*} child
    if [[ -z $cur ]]; then
        compopt -o nospace 2>/dev/null
        COMPREPLY=(/)
    elif [[ $cur == /* ]]; then
        # Not by compgen, which would expand what stands in the store.
        while read -r child; do
            if [[ $child == "$cur"* ]]; then COMPREPLY+=("$child"); fi
        done < <(_xsd_children "${parent:-/}")
        if ((${#COMPREPLY[@]} == 1)) && [[ -n $(_xsd_children "${COMPREPLY[0]}") ]]; then
            compopt -o nospace 2>/dev/null
            COMPREPLY=("${COMPREPLY[0]}/")
        fi
    fi
}

# begin: made by `make tables`
# Words as for compgen.
_xsd_serve_options="-H -h --help --version -N --no-fork --config -F --pid-file --socket
    --hypervisor --log-level --log-format --log-file --record -T --trace-file --trace
    --trace-control -E --entry-nb -S --entry-size -W --watch-nb -t --transaction -A
    --perm-nb -M --path-max -Q --quota -q --quota-soft -w --timeout -K --keep-orphans
    --event --master-domid --priv-domid -U --live-update --journal --no-journal
    --journal-directory --journal-sync --journal-checkpoint"
_xsd_commands="serve config read write list ls tree exists mkdir rm chmod watch control
    update domain health state journal tape help"
_xsd_control_commands="check journal log logfile memreport print quota quota-soft
    live-update help"
_xsd_switches="{+,-}obj {+,-}io {+,-}wrl {+,-}acc {+,-}tdb"
_xsd_quotas="nodes watches outstanding memory transactions transaction-nodes
    node-permissions path-max node-size"
_xsd_soft_quotas="memory"
# Those of the clients that take a value.
_xsd_valued=" --arguments --depth --name --socket --timeout -d -n "
declare -gA _xsd_options=(
    [config]="-h --help --socket"
    [read]="-h --help --socket -s --timeout -p --prefix -R --raw"
    [write]="-h --help --socket -s --timeout -R --raw"
    [list]="-h --help --socket -s --timeout -p --prefix"
    [ls]="-h --help --socket -s --timeout -f --full -p --permissions"
    [tree]="-h --help --socket -s --timeout -p --permissions -d --depth --ascii"
    [exists]="-h --help --socket -s --timeout"
    [mkdir]="-h --help --socket -s --timeout"
    [rm]="-h --help --socket -s --timeout -t --tidy"
    [chmod]="-h --help --socket -s --timeout -r --recurse -u --upto"
    [watch]="-h --help --socket -s --timeout -n --depth"
    [control]="-h --help --socket -s --timeout"
    [update]="-h --help --socket -s --arguments --force --timeout"
    [domain]="-h --help --socket -s --timeout --name --shutdown"
    [health]="-h --help --socket -s --timeout --journal"
    [state]="-h --help --socket --to --version --order --force"
    [journal]="-h --help --socket --yes"
    [tape]="-h --help --socket"
    [help]="-h --help --socket"
)

# After an option of the daemon that takes a value: offers those, returns 0.
_xsd_serve_value() {
    case $prev in
        --config) _xsd_offer_files ;;
        -F | --pid-file) _xsd_offer_files ;;
        --socket) _xsd_offer_files ;;
        --hypervisor) _xsd_offer -W "auto xen emulated" ;;
        --log-level) _xsd_offer -W "debug info warning error" ;;
        --log-format) _xsd_offer -W "auto console json" ;;
        --log-file) _xsd_offer_files ;;
        --record) _xsd_offer_files ;;
        -T | --trace-file) _xsd_offer_files ;;
        --trace-control) _xsd_offer -W "{+,-}obj {+,-}io {+,-}wrl {+,-}acc {+,-}tdb" ;;
        -E | --entry-nb) ;;
        -S | --entry-size) ;;
        -W | --watch-nb) ;;
        -t | --transaction) ;;
        -A | --perm-nb) ;;
        -M | --path-max) ;;
        -Q | --quota) _xsd_offer_begun -S = -W "nodes watches outstanding memory
            transactions transaction-nodes node-permissions path-max node-size" ;;
        -q | --quota-soft) _xsd_offer_begun -S = -W "memory" ;;
        -w | --timeout) _xsd_offer_begun -S = -W "watch-event" ;;
        --event) ;;
        --master-domid) ;;
        --priv-domid) ;;
        --journal-directory) _xsd_offer_files ;;
        --journal-sync) _xsd_offer -W "never everysec always" ;;
        --journal-checkpoint) ;;
        *) return 1 ;;
    esac
}
# end

_xsd_serve() {
    _xsd_serve_value || _xsd_offer -W "$_xsd_serve_options"
}

_xsd_config() {
    case ${operands[0]-} in
        "") _xsd_offer -W "check show keys example -h --help --socket" ;;
        check) ((${#operands[@]} > 1)) || _xsd_offer_files ;;
        show) _xsd_serve ;;
    esac
}

_xsd_tape() {
    case ${operands[0]-} in
        "") _xsd_offer -W "show replay -h --help --socket" ;;
        *) ((${#operands[@]} > 1)) || _xsd_offer_files ;;
    esac
}

_xsd_state() {
    case $prev in
        --to) _xsd_offer -W "json stream" && return ;;
        --version) _xsd_offer -W "1 2" && return ;;
        --order) _xsd_offer -W "little big" && return ;;
    esac
    case ${operands[0]-}:$cur in
        *:-*) _xsd_offer -W "${_xsd_options[state]}" ;;
        :*)
            _xsd_offer -W "dump load export import verify diff convert \
                ${_xsd_options[state]}"
            ;;
        *) _xsd_offer_files ;;
    esac
}

_xsd_journal() {
    if [[ $cur == -* ]]; then
        _xsd_offer -W "${_xsd_options[journal]-}"
    elif ((${#operands[@]} == 0)); then
        _xsd_offer -W "verify dump truncate ${_xsd_options[journal]-}"
    elif ((${#operands[@]} == 1)); then
        _xsd_offer_files
    fi
}

# What is behind the name of a command to the daemon is handed to it as it stands.
_xsd_control() {
    case ${operands[0]-}:${#operands[@]} in
        :0) _xsd_offer -W "$_xsd_control_commands ${_xsd_options[control]}" ;;
        log:1) _xsd_offer -W "on off $_xsd_switches -h --help" ;;
        logfile:1 | memreport:1 | live-update:*) _xsd_offer_files ;;
        quota:1) _xsd_offer -W "set max -h --help" ;;
        quota-soft:1) _xsd_offer -W "set -h --help" ;;
        quota:2 | quota-soft:2)
            case ${operands[*]} in
                "quota set") _xsd_offer -W "$_xsd_quotas" ;;
                "quota max") _xsd_offer -W "-r" ;;
                "quota-soft set") _xsd_offer -W "$_xsd_soft_quotas" ;;
            esac
            ;;
        *:1) _xsd_offer -W "-h --help" ;;
    esac
}

_xsd_command() {
    case $command in
        serve) _xsd_serve && return ;;
        config) _xsd_config && return ;;
        control) _xsd_control && return ;;
        state) _xsd_state && return ;;
        tape) _xsd_tape && return ;;
        journal) _xsd_journal && return ;;
    esac
    if [[ $cur == -* ]]; then
        _xsd_offer -W "${_xsd_options[$command]-}"
        return
    fi
    # Every second word of write is a value, those of chmod behind the first are modes.
    case $command:${#operands[@]} in
        serve:* | config:* | control:* | state:* | journal:* | tape:* | health:*) ;;
        help:0) _xsd_offer -W "$_xsd_commands" ;;
        help:*) ;;
        domain:0) _xsd_offer -W "create list kill introduce" ;;
        domain:*) ;;
        write:*[13579]) ;;
        chmod:0) _xsd_offer_paths ;;
        chmod:*) _xsd_offer_begun -W "n r w b" ;;
        watch:*)
            if [[ $cur == @* ]]; then
                _xsd_offer -W "@introduceDomain @releaseDomain"
            else
                _xsd_offer_paths
            fi
            ;;
        *) _xsd_offer_paths ;;
    esac
}

_xsd() {
    local cur prev command="" word before=""
    local -a words operands=() _xsd_ask
    COMPREPLY=()
    # As the shell would have it: nobody else expands what is typed so far.
    _xsd_ask=("${COMP_WORDS[0]/#\~\//$HOME/}")
    _xsd_split
    for word in "${words[@]}"; do
        case $before in
            --socket)
                _xsd_ask+=(--socket "${word/#\~\//$HOME/}")
                ;;
            *)
                if [[ $_xsd_valued == *" $before "* ]]; then
                    before=
                    continue
                fi
                if [[ $word != -* ]]; then
                    if [[ -z $command ]]; then command=$word; else operands+=("$word"); fi
                fi
                ;;
        esac
        before=$word
    done
    case $prev in
        --socket) _xsd_offer_files ;;
        *)
            # Numbers and names, but for the daemon's.
            if [[ $_xsd_valued == *" $prev "* && $command != serve && $command != config ]]
            then
                :
            elif [[ -n $command ]]; then
                _xsd_command
            elif [[ $cur == -* ]]; then
                _xsd_offer -W "-h --help --socket --version"
            else
                _xsd_offer -W "$_xsd_commands"
            fi
            ;;
    esac
}

_xsd_xenstored() {
    local cur prev
    local -a words
    COMPREPLY=()
    _xsd_split
    _xsd_serve
}

complete -F _xsd xsd
complete -F _xsd_xenstored xenstored xsd-xenstored
