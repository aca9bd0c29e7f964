"""The sentences of journal messages, in British English, as claimants write them.

Three lists: ordinary business, ordinary messages that use alarming words in a harmless sense (what makes a list of
terms imprecise), and messages of people who may come to harm, some of them with no alarming word at all. The last are
plain and short on purpose. `{x}` places are filled in `messages`.
"""

OPENERS = (
    "", "", "", "", "Hi, ", "Hello, ", "Hi there, ", "Good morning. ", "Good afternoon. ", "Dear work coach, ",
    "Hello again, ", "To whom it may concern, ", "Sorry to bother you but ", "Just to let you know, ",
)  # fmt: skip
CLOSERS = (
    "", "", "", "", " Thanks", " Thank you.", " Many thanks", " Please let me know.", " Kind regards",
    " Thanks in advance.", " Please can someone ring me.", " Cheers", " I look forward to hearing from you.",
)  # fmt: skip

ORDINARY = (
    "I have not received my payment this month, it was due on {date}.",
    "when will my advance of {amount} be paid into my account?",
    "I have uploaded my tenancy agreement as you asked.",
    "my hours at work have changed and I will be doing {hours} hours a week from {date}.",
    "I have a new bank account, how do I change my details?",
    "my rent has gone up to {amount} a month from {date}.",
    "I could not get through on the phone, I was on hold for over an hour.",
    "I can't make my appointment on {date} because my daughter has a dentist appointment.",
    "I have started a new job at a warehouse, first day is {date}.",
    "my partner has moved out and I need to change my claim.",
    "could you please tell me how the payment was worked out? I think it should be {amount}.",
    "I have attached my fit note, it runs until {date}.",
    "my employer has put me on furlough and I am getting less money.",
    "I was told my advance would take three days but it has been a week.",
    "please can the deductions be lowered, {amount} a month is too much.",
    "I have applied for {count} jobs this week and have one interview.",
    "my childcare costs were {amount} last month, receipt attached.",
    "I don't understand the letter you sent me dated {date}.",
    "my payslip is wrong, my employer is sorting it out.",
    "I need to report that my son has turned 18.",
    "the website keeps logging me out when I try to upload evidence.",
    "I am going to be back from hospital on {date}, can the appointment be by phone?",
    "do I still have to look for work while I am self-isolating?",
    "I have moved house, my new postcode is the same area but a different street.",
    "my wages came in early so it looks like I was paid twice.",
    "can you confirm you have had my proof of identity?",
    "I am self-employed and my takings for the month were {amount}.",
    "the housing payment has not gone to my landlord and he is asking about it.",
    "thank you for sorting my payment out so quickly.",
    "I want to appeal the decision about my housing costs.",
    "my work coach said to note here that I finished the course on {date}.",
    "is there any help with the cost of travel to an interview?",
    "my phone is broken, please write to me here.",
    "I definitely sent the form, it was posted on {date}.",
    "my mum is staying with me until {date}, does that change anything?",
    "I am expecting a baby in {count} months, what do I need to tell you?",
)
WITH_NINO = (
    "my national insurance number is {nino}, please check it is right on your system.",
    "here is my NI number again {nino} as you asked for it.",
)
WITH_PHONE = (
    "my new mobile is {phone}, the old one no longer works.",
    "please ring me on {phone} after 3pm.",
)
ALARMING = (
    "this waiting is killing me, it has been {count} weeks.",
    "my mum died last week so I missed my appointment on {date}.",
    "I am dying to hear about the job I went for.",
    "my phone is dead so I could not answer your call.",
    "I was so embarrassed I could have died when my card was declined.",
    "the bills are killing us but we are managing for now.",
    "I am sick and tired of being passed around.",
    "I can't go on holiday this year so I will be home for any appointment.",
    "my brother tried to harm himself last year and I am his carer, is there an allowance?",
    "I have cut myself on a machine at work and have a fit note for {count} weeks.",
    "my doctor has changed my tablets for depression, fit note attached.",
    "this is the end of my contract, last day is {date}.",
    "I have a suicide prevention course for work on {date} so cannot attend.",
    "there is no point me coming in if the appointment is only ten minutes.",
    "we ended it, my partner left on {date} so I am single now.",
    "my anxiety is bad this week, could we do the appointment by phone?",
    "I have no food money until {date}, where do I get a food bank voucher?",
)
HARM = (
    "I can't go on like this any more.",
    "I don't want to be here any more.",
    "I feel suicidal and I don't know who to tell.",
    "I have been thinking about ending my life.",
    "I want to kill myself because of this.",
    "if the money does not come I will end it all.",
    "I have hurt myself again because of the stress.",
    "everyone would be better off without me.",
    "I have nothing left to live for.",
    "I am thinking of taking all my tablets.",
    "I am scared of what I might do to myself.",
    "I keep self harming and nobody listens.",
    "I don't see a way out of this.",
    "by the time you read this it will not matter.",
    "I have written letters to my children to explain.",
    "I just want to go to sleep and not wake up.",
    "he says he will kill me if I leave and I have nowhere to go.",
    "I have not eaten for {count} days and have given up.",
)
HARM_TAILS = (
    "", " It has been {count} weeks with no payment.", " I have told the doctor.", " Nobody rings me back.",
    " The deductions of {amount} leave me with nothing.", " I missed the appointment because of it.",
)  # fmt: skip

MISSPELLINGS = (
    ("received", "recieved"), ("because", "becuase"), ("because", "cos"), ("can't", "cant"), ("don't", "dont"),
    ("definitely", "definately"), ("appointment", "apointment"), ("payment", "paymant"), ("please", "plz"),
    ("you ", "u "), ("your", "youre"), ("tomorrow", "tommorow"), ("any more", "anymore"), ("suicidal", "sucidal"),
    ("suicide", "suiside"), ("kill myself", "kil my self"), ("myself", "my self"), ("ending my life", "endin my life"),
    ("tablets", "tablits"), ("self harming", "self-harmin"), ("address", "adress"), ("would be", "wud be"),
    ("employer", "employeer"), ("I am", "im"), ("want to", "wanna"), ("though", "tho"), ("waiting", "wating"),
)  # fmt: skip
