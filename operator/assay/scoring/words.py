"""The words that challenge sentences are made of.

A list of our own and not a dictionary of the machine: the same seed must give the same sentences on every machine and
in every release, or a report could not be replayed. Never reorder it and never change its length within a version of
the assignment's schema.
"""

_TEXT = """
able about above across action active actor actual adult advice affair after again against agency agree ahead air
airport alarm album alive almost alone along already also always among amount ancient anger angle animal answer
anxious anyone appeal apple april area argue arm army around arrive art article artist aspect assume athlete atom
attack attempt august author autumn average avoid award away baby back bad bag balance ball band bank bar barely base
basic basket battle beach bear beat beauty because become bed bedroom before begin behind belief bell belong below
bench benefit best better between beyond big bill bird birth bitter black blanket blind block blood blow blue board
boat body boil bone book border boring borrow boss both bottle bottom bowl box boy branch brave bread break breath
bridge bright bring broad broken brother brown brush budget build bullet burn bus bush business busy butter button buy
cabin cable cake call calm camera camp canal cancel candle capital captain car carbon card career carpet carry case
cash castle cat catch cause ceiling cell center central century chain chair chance change channel chapter charge cheap
cheese chemical chest chicken chief child choice church circle citizen city claim class clean clear clerk climate
climb clock close cloth cloud club coach coal coast coat code coffee cold collar collect college color column combine
come comfort command common company compare concert confirm connect control cook cool copper copy corner correct cost
cotton cough council country couple courage course court cousin cover cow crack create credit crew crime crisis critic
crop cross crowd cruel cry culture cup curious current curtain curve custom cut cycle daily damage dance danger dark
data daughter dawn day dead deal dear debate debt decade decide deep defend degree delay deliver demand dentist depend
desert design desk detail develop device dialogue diamond diet differ dig dinner direct dirty discuss disease dish
distance divide doctor dog dollar door double doubt down dozen draft drama draw dream dress drink drive drop dry dust
duty eager eagle early earn earth east easy eat echo edge editor educate effect effort egg eight either elbow elder
electric element empty enemy energy engine enjoy enough enter entire equal error escape even evening event every evil
exact example except excite exist exit expand expect expert explain express extra eye face fact factory fade fail
faint fair faith fall false fame family famous fan far farm fashion fast fate father fault favor fear feather federal
feed feel fellow fence festival fever few field fight figure file fill film final find fine finger finish fire firm
first fish five fix flag flame flat flavor flesh flight float flood floor flour flow flower fluid fly focus fog fold
follow food foot force foreign forest forget fork form formal fortune forward found four frame free freeze fresh
friend frog front frozen fruit fuel full fun funny future gain gallery game garage garden gas gate gather general
gentle giant gift girl give glad glass global glove goal goat gold good govern grade grain grand grass grave gray
great green greet grid grocery ground group grow guard guess guest guide guilty guitar gun habit hair half hall hammer
hand happen happy harbor hard hat hate have hawk head health hear heart heat heavy height hello help hero hidden high
hill hint hire history hit hobby hold hole holiday hollow home honest honey hope horse hospital host hot hotel hour
house human humble humor hundred hungry hunt hurry hurt husband ice idea ideal ignore image impact improve inch income
indoor industry inform inner input insect inside insist iron island issue item jacket jail january jar jazz jealous
jewel job join joke journey judge juice july jump june junior jury just keen keep kettle key kick kid kind king kiss
kitchen kite knee knife knock know label labor ladder lady lake lamp land language large last late laugh laundry law
lawyer layer lazy lead leaf learn leather leave lecture left leg legal lemon length lesson letter level library lie
life lift light like limit line lion liquid list listen little live local lock logic lonely long look loose lord lose
loud love low loyal luck lunch machine mad magic mail main major make male manage manner map march margin marine mark
market marry master match matter may meal mean measure meat media meet melody member memory mention menu merit message
metal method middle midnight might mild military milk mill mind mine minor minute mirror miss mistake mix mobile model
modern moment money monkey month moon moral more morning mother motion motor mountain mouse mouth move movie much mud
muscle museum music mystery nail name narrow nation native nature near neat neck need needle neighbor neither nephew
nerve nest net network never new news next nice night nine noble nobody noise normal north nose notice novel nowhere
number nurse oak obey object ocean october odd offer office often oil old olive once onion only open opera opinion
oppose option orange orbit order origin other outcome outside oven owner oxygen page pain paint pair palace pale panel
panic paper parade parent park part party pass past path patient pattern pause pay peace peak pencil people pepper
perfect period permit person phone photo phrase piano picture piece pig pilot pink pipe pitch place plain plan plane
planet plant plastic plate play pleasant plenty pocket poem poet point police polite pond pool poor popular port
positive post potato pound powder power praise prefer prepare present press pretty price pride priest prince print
prison private prize problem process produce profit project promise proof proper protect proud prove public pull pulse
pump punish pupil purple purpose push puzzle quality quarter queen question quick quiet quite quote rabbit race radio
rail rain raise ranch random range rapid rare rather raw ray reach read ready real reason receive recipe record red
reduce refuse region regret regular reject relate relax release relief remain remember remote rent repair repeat reply
report rescue resist rest result return reveal review reward rhythm rice rich ride rifle right ring rise risk rival
river road roast rob rock role roll roof room root rope rose rough round route royal rubber rug rule run rural rush
sad safe sail salad salt same sand satisfy sauce save scale scatter scene school science score scout screen sea search
season seat second secret section seed seek seem select sell send senior sense series serve settle seven shade shadow
shake shallow shape share sharp sheep sheet shelf shell shelter shift shine ship shirt shock shoe shoot shop shore
short shoulder shout show shower shut shy sick side sight sign silent silk silver similar simple since sing single
sister site six size skill skin sky sleep slice slide slight slow small smart smell smile smoke smooth snake snow soap
social soft soil soldier solid solve song soon sorry sort sound soup source south space speak special speed spell
spend spice spider spirit split sport spot spread spring square stable staff stage stair stamp stand star start state
station steal steam steel stem step stick still stone stop store storm story stove strange stream street stretch
strict string strong student study stuff style subject success sudden suffer sugar suggest suit summer sun supper
supply sure surface survey swallow sweet swim switch symbol system table tail take talent talk tall target task taste
tax teach team tear tell temple ten tend tennis term test thank theater theme theory thick thief thin thing think
third thirsty thought thread three throat throw thunder ticket tide tie tiger tight timber time tiny tired title toast
today toe together tomato tomorrow tone tongue tonight tool tooth top topic total touch tough tour tower town toy
track trade train travel tray treat tree trend trial tribe trick trip trouble truck true trust truth try tube tune
tunnel turn twelve twenty twice twin two type ugly uncle under uniform union unique unit universe unknown until
unusual update upper upset urban urge use useful usual valley value van variety various vast vegetable vehicle version
very victim victory video view village violin virtue visit visual vital voice volume vote wage wagon waist wait wake
walk wall wander want war warm warn wash waste watch water wave way weak wealth weapon wear weather wedding week weigh
welcome west wet whale wheat wheel while whisper white whole wide wife wild will win wind window wine wing winner
winter wire wise wish without witness woman wonder wood wool word work world worry worth wound wrap write wrong yard
year yellow yesterday yet young youth zero zone
"""

WORDS: tuple[str, ...] = tuple(_TEXT.split())
